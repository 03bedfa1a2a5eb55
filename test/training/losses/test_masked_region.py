import math

import pytest
import torch

from vla_ros.training.losses import mask_regions, region_class_loss, region_feature_loss


def test_hidden_regions_are_zero_and_others_as_they_were():
    regions, there = torch.ones(100, 50, 2), torch.ones(100, 50, dtype=torch.bool)
    masked, hidden = mask_regions(regions, there, torch.default_generator)
    assert float(hidden.float().mean()) == pytest.approx(0.15, abs=0.02)
    assert torch.equal(masked[..., 0] == 0.0, hidden)


def test_what_is_not_there_is_not_hidden():
    there = torch.tensor([[True, False]])
    assert mask_regions(torch.ones(1, 2, 3), there, torch.default_generator, share=1.0)[
        1
    ].tolist() == [[True, False]]


def test_features_cost_their_squared_distance_where_they_are_hidden():
    guessed = torch.tensor([[[1.0, 2.0], [9.0, 9.0]]], requires_grad=True)
    loss = region_feature_loss(guessed, torch.zeros(1, 2, 2), torch.tensor([[True, False]]))
    loss.backward()
    assert float(loss.detach()) == 5.0
    assert guessed.grad.tolist() == [[[2.0, 4.0], [0.0, 0.0]]]


def test_guessing_the_very_chances_costs_nothing():
    chances = torch.tensor([[[0.2, 0.8, 0.0]]])
    loss = region_class_loss(chances.log().clamp(min=-80.0), chances, torch.ones(1, 1).bool())
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_guessing_blindly_a_certain_class_costs_the_logarithm_of_their_number():
    chances = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])
    loss = region_class_loss(torch.zeros(1, 1, 4), chances, torch.ones(1, 1).bool())
    assert float(loss) == pytest.approx(math.log(4.0))


def test_a_certain_class_leaves_no_nan_in_the_gradient():
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    region_class_loss(logits, torch.tensor([[[0.0, 1.0]]]), torch.ones(1, 1).bool()).backward()
    assert logits.grad.flatten().tolist() == pytest.approx([0.5, -0.5])


def test_nothing_hidden_costs_nothing():
    nothing = torch.zeros(1, 2).bool()
    assert float(region_feature_loss(torch.ones(1, 2, 2), torch.zeros(1, 2, 2), nothing)) == 0.0
