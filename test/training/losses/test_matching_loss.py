import math

import pytest
import torch

from vla_ros.training.losses import matching_loss, mismatched


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def test_the_text_drawn_never_means_the_same(random):
    same = torch.tensor([0, 0, 1, 2, 2, 2])
    for _ in range(50):
        assert (same[mismatched(same, random)] != same).all()


def test_all_other_texts_are_drawn_alike(random):
    drawn = torch.stack([mismatched(torch.arange(4), random) for _ in range(1000)])
    counts = torch.bincount(drawn[:, 0], minlength=4) / 1000.0
    torch.testing.assert_close(counts, torch.tensor([0.0, 1.0, 1.0, 1.0]) / 3.0, atol=0.06, rtol=0)


def test_likelier_texts_are_drawn_more_often(random):
    similarity = torch.tensor([[9.0, math.log(3.0), 0.0]] * 3)
    drawn = torch.stack([mismatched(torch.arange(3), random, similarity) for _ in range(1000)])
    assert float((drawn[:, 0] == 1).float().mean()) == pytest.approx(0.75, abs=0.05)


def test_a_batch_of_one_meaning_has_no_text_that_does_not_belong(random):
    with pytest.raises(ValueError, match='mix more tasks'):
        mismatched(torch.tensor([3, 3, 3]), random)


def test_guessing_blindly_costs_the_logarithm_of_two():
    assert float(matching_loss(torch.zeros(3), torch.zeros(5))) == pytest.approx(math.log(2.0))


def test_pairs_and_others_weigh_the_same_however_many_there_are():
    pairs, others = torch.zeros(2, requires_grad=True), torch.zeros(8, requires_grad=True)
    matching_loss(pairs, others).backward()
    assert float(pairs.grad.sum()) == pytest.approx(-0.25)
    assert float(others.grad.sum()) == pytest.approx(0.25)


def test_being_surely_right_costs_nothing_and_surely_wrong_much():
    yes, no = torch.full((2,), 40.0), torch.full((2,), -40.0)
    assert float(matching_loss(yes, no)) == pytest.approx(0.0, abs=1e-6)
    assert float(matching_loss(no, yes)) == pytest.approx(40.0)
