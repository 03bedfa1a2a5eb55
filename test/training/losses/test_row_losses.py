import math

import numpy as np
import pytest
import torch

from vla_ros.training.losses import (
    chance_loss,
    class_loss,
    heat_loss,
    part_loss,
    position_loss,
)

NAN = float('nan')


def test_the_right_position_costs_nothing():
    here = torch.tensor([[0.1, 0.2, 0.3]])
    assert float(position_loss(here, here)) == 0.0


def test_an_unknown_position_does_not_count():
    predicted = torch.tensor([[1.0, 1.0], [0.0, 0.05]])
    target = torch.tensor([[NAN, NAN], [0.0, 0.0]])
    assert float(position_loss(predicted, target)) == pytest.approx(1.0 - 0.5 * 0.04)


def test_no_known_position_at_all_costs_nothing_and_has_a_gradient():
    predicted = torch.zeros(2, 3, requires_grad=True)
    position_loss(predicted, torch.full((2, 3), NAN)).backward()
    assert (predicted.grad == 0).all()


def test_attention_at_the_true_cell_costs_least():
    cells = torch.tensor([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    pixels = torch.tensor([[4.0, 0.0]])
    losses = [float(heat_loss(torch.eye(3)[i : i + 1], pixels, cells, 1.0)) for i in range(3)]
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]


def test_heat_without_a_true_pixel_does_not_count():
    loss = heat_loss(torch.eye(3)[:1], torch.full((1, 2), NAN), torch.zeros(3, 2), 1.0)
    assert float(loss) == 0.0


def test_a_class_that_is_not_meant_does_not_count():
    logits = torch.tensor([[5.0, -5.0], [0.0, 0.0]])
    both = class_loss(logits, torch.tensor([-1, 0]))
    assert float(both) == pytest.approx(float(class_loss(logits[1:], torch.tensor([0]))))


def test_without_any_class_there_is_no_loss():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = class_loss(logits, torch.tensor([-1, -1]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert (logits.grad == 0).all()


def test_a_chance_of_a_half_costs_as_much_either_way():
    losses = [float(chance_loss(torch.zeros(1), torch.tensor([x]))) for x in (0.0, 1.0)]
    assert losses == pytest.approx([np.log(2.0)] * 2)


def test_a_chance_that_nobody_knows_does_not_count():
    logit = torch.tensor([9.0, 0.0], requires_grad=True)
    loss = chance_loss(logit, torch.tensor([NAN, 1.0]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(2.0))
    assert float(logit.grad[0]) == 0.0


def test_a_map_is_to_find_everything_that_it_is_about():
    cells = torch.tensor([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    pixels = torch.tensor([[[[0.0, 0.0], [20.0, 0.0], [NAN, NAN]]]])  # two of three are there
    both, one = torch.tensor([[[9.0, 0.0, 9.0]]]), torch.tensor([[[9.0, 0.0, 0.0]]])
    assert float(part_loss(both, pixels, cells, 1.0)) < float(part_loss(one, pixels, cells, 1.0))
    assert float(part_loss(both, pixels, cells, 1.0)) == pytest.approx(math.log(2.0), abs=1e-3)


def test_a_map_about_nothing_that_is_there_does_not_count():
    pixels = torch.full((1, 1, 3, 2), NAN)
    assert float(part_loss(torch.ones(1, 1, 3), pixels, torch.zeros(3, 2), 1.0)) == 0.0
