import math

import pytest
import torch

from vla_ros.training.losses import mask_words, masked_language_loss, WordMasking

MASK_ID, VOCABULARY = 1, 50
IDS = torch.randint(2, VOCABULARY, (400, 100), generator=torch.Generator().manual_seed(0))
ALL = torch.ones_like(IDS, dtype=torch.bool)


@pytest.fixture
def random():
    return torch.Generator().manual_seed(1)


def share(chosen: torch.Tensor) -> float:
    return float(chosen.float().mean())


def test_fifteen_in_a_hundred_words_are_to_be_guessed(random):
    wanted = mask_words(IDS, ALL, MASK_ID, VOCABULARY, random)[1]
    assert share(wanted >= 0) == pytest.approx(0.15, abs=0.01)
    assert (wanted[wanted >= 0] == IDS[wanted >= 0]).all()


def test_of_those_eight_in_ten_are_hidden_one_is_swapped_and_one_stays(random):
    read, wanted = mask_words(IDS, ALL, MASK_ID, VOCABULARY, random)
    chosen = wanted >= 0
    stays = share(read[chosen] == IDS[chosen])
    assert share(read[chosen] == MASK_ID) == pytest.approx(0.8, abs=0.02)
    assert stays == pytest.approx(0.1, abs=0.02)


def test_words_that_are_not_to_be_guessed_are_read_as_they_are(random):
    read, wanted = mask_words(IDS, ALL, MASK_ID, VOCABULARY, random)
    assert (read[wanted < 0] == IDS[wanted < 0]).all()


def test_padding_and_marks_are_left_alone(random):
    maskable = torch.arange(100).expand(400, -1) % 2 == 0
    read, wanted = mask_words(
        IDS, maskable, MASK_ID, VOCABULARY, random, WordMasking(share=1.0, hidden=1.0)
    )
    assert (read[~maskable] == IDS[~maskable]).all()
    assert (wanted[~maskable] == -1).all()
    assert (read[maskable] == MASK_ID).all()


def test_the_same_seed_hides_the_same_words():
    one, other = (
        mask_words(IDS, ALL, MASK_ID, VOCABULARY, torch.Generator().manual_seed(4))
        for _ in range(2)
    )
    assert torch.equal(one[0], other[0])


def test_guessing_blindly_costs_the_logarithm_of_the_vocabulary():
    wanted = torch.tensor([[3, -1, 7]])
    loss = masked_language_loss(torch.zeros(1, 3, VOCABULARY), wanted)
    assert float(loss) == pytest.approx(math.log(VOCABULARY))


def test_only_what_is_to_be_guessed_has_a_gradient():
    logits = torch.zeros(1, 3, 4, requires_grad=True)
    masked_language_loss(logits, torch.tensor([[2, -1, -1]])).backward()
    assert logits.grad[0, 0].tolist() == pytest.approx([0.25, 0.25, -0.75, 0.25])
    assert (logits.grad[0, 1:] == 0.0).all()


def test_nothing_to_guess_costs_nothing():
    loss = masked_language_loss(torch.zeros(1, 3, 4), torch.full((1, 3), -1))
    assert float(loss) == 0.0
