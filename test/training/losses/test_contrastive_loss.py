import math

import pytest
import torch

from vla_ros.training.losses import ContrastiveLoss


@pytest.fixture
def loss():
    return ContrastiveLoss()


def test_the_temperature_starts_as_published(loss):
    assert loss.temperature == pytest.approx(0.07)


def test_pairs_at_right_angles_to_all_others_cost_what_the_softmax_leaves(loss):
    loss.log_scale.data.fill_(math.log(2.0))
    wanted = math.log(1.0 + 3.0 * math.exp(-2.0))
    assert float(loss(torch.eye(4), torch.eye(4)).detach()) == pytest.approx(wanted)


def test_embeddings_that_tell_nothing_cost_the_logarithm_of_the_batch(loss):
    same = torch.ones(8, 3)
    assert float(loss(same, same).detach()) == pytest.approx(math.log(8.0), rel=1e-5)


def test_it_is_the_mean_of_both_directions(loss):
    images, texts = torch.randn(2, 5, 3)
    torch.testing.assert_close(loss(images, texts), loss(texts, images))
    unit = [x / x.norm(dim=1, keepdim=True) for x in (images, texts)]
    logits = unit[0] @ unit[1].T / 0.07
    wanted = -(logits.log_softmax(1).diag() + logits.log_softmax(0).diag()).mean() / 2.0
    torch.testing.assert_close(loss(images, texts), wanted)


def test_how_long_embeddings_are_does_not_matter(loss):
    images, texts = torch.randn(2, 5, 3)
    torch.testing.assert_close(loss(3.0 * images, 0.1 * texts), loss(images, texts))


def test_a_text_that_two_rows_share_is_right_for_both(loss):
    images = torch.eye(3)[[0, 0, 1]].requires_grad_()
    value = loss(images, torch.eye(3)[[0, 0, 1]], torch.tensor([7, 7, 2]))
    # Rows 0 and 1 cannot tell their two texts apart: log 2 for each; row 2 can.
    assert float(value.detach()) == pytest.approx(2.0 / 3.0 * math.log(2.0), abs=1e-4)
    value.backward()
    assert images.grad.abs().max() < 1e-4


def test_without_telling_what_is_the_same_such_rows_are_torn_apart(loss):
    images = torch.tensor([[1.0, 0.1], [1.0, -0.1]])
    texts = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    gradients = []
    for same in (None, torch.tensor([0, 0])):
        learned = texts.clone().requires_grad_()
        loss(images, learned, same).backward()
        gradients.append(float(learned.grad.abs().max()))
    assert gradients[0] > 0.1
    assert gradients[1] < 1e-6


def test_the_temperature_learns_to_fall_where_pairs_are_clear_and_to_rise_where_not(loss):
    loss(torch.eye(4), torch.eye(4)).backward()
    assert float(loss.log_scale.grad) < 0.0  # descent raises the scale
    loss.log_scale.grad = None
    loss(torch.eye(4), torch.eye(4).roll(1, 0)).backward()
    assert float(loss.log_scale.grad) > 0.0


def test_the_temperature_has_a_lowest_value_and_comes_back_from_it(loss):
    loss.log_scale.data.fill_(50.0)
    loss(torch.eye(4), torch.eye(4).roll(1, 0)).backward()
    assert loss.temperature == pytest.approx(0.01)
    assert float(loss.log_scale.grad) > 0.0


def test_it_learns_which_belongs_to_which(loss):
    images = torch.randn(8, 4)
    texts = torch.randn(8, 4).requires_grad_()
    optimiser = torch.optim.Adam([texts, *loss.parameters()], lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        loss(images, texts).backward()
        optimiser.step()
    alike = images @ torch.nn.functional.normalize(texts.detach(), dim=1).T
    assert alike.argmax(dim=1).tolist() == list(range(8))
