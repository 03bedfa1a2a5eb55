import math

import pytest
import torch

from vla_ros.training.losses import token_losses, TokenKind, weighted_sum

KINDS = torch.tensor([[1, 1, 2, 2, 2, 3, 0]])
WANTED = torch.tensor([[0, 1, 2, 3, 0, 1, 99]])  # 99 is no token, and padding


def test_guessing_blindly_costs_the_logarithm_of_the_vocabulary_for_each_kind():
    losses = token_losses(torch.zeros(1, 7, 4), WANTED, KINDS)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        dict.fromkeys(('language', 'vision', 'action'), math.log(4.0))
    )


def test_each_kind_is_a_mean_over_its_own_tokens():
    logits = torch.zeros(1, 7, 4)
    logits[0, 2] = 20.0 * torch.eye(4)[2]  # one of three of vision is surely right
    losses = token_losses(logits, WANTED, KINDS)
    assert float(losses['vision']) == pytest.approx(2.0 / 3.0 * math.log(4.0))
    assert float(losses['language']) == pytest.approx(math.log(4.0))


@pytest.mark.parametrize(
    ('name', 'kind'), [(k.name.lower(), k) for k in TokenKind if k != TokenKind.PADDING]
)
def test_each_loss_teaches_its_own_places_alone(name, kind):
    logits = torch.zeros(1, 7, 4, requires_grad=True)
    token_losses(logits, WANTED, KINDS)[name].backward()
    taught = logits.grad.abs().sum(dim=-1) > 0.0
    assert torch.equal(taught, kind == KINDS)


def test_a_kind_that_is_not_there_costs_nothing():
    losses = token_losses(torch.zeros(1, 2, 4), WANTED[:, :2], KINDS[:, :2])
    assert float(losses['action']) == 0.0


def test_the_three_are_one_loss_by_their_weights():
    losses = token_losses(torch.zeros(1, 7, 4), WANTED, KINDS)
    total = weighted_sum(losses, {'language': 1.0, 'vision': 0.5, 'action': 2.0})
    assert float(total) == pytest.approx(3.5 * math.log(4.0))
