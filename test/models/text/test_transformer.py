import pytest
import torch

from vla_ros.models.text.transformer import TextTransformer

ALL = torch.ones(1, 3).bool()


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return TextTransformer(vocabulary=11, width=8, heads=2, layers=2).eval()


def test_padding_gives_zeros_and_changes_nothing(encoder):
    short = encoder(torch.tensor([[1, 2, 3]]), ALL)
    padded = encoder(torch.tensor([[1, 2, 3, 9, 9]]), torch.arange(5)[None] < 3)
    torch.testing.assert_close(padded[:, :3], short, rtol=0.0, atol=1e-6)
    assert (padded[:, 3:] == 0).all()


def test_the_order_of_the_words_matters(encoder):
    there = encoder(torch.tensor([[1, 2, 3]]), ALL)
    back = encoder(torch.tensor([[3, 2, 1]]), ALL)
    assert (there - back.flip(1)).abs().max() > 1e-2


def test_a_word_depends_on_all_others(encoder):
    before = encoder(torch.tensor([[1, 2, 3]]), ALL)
    after = encoder(torch.tensor([[1, 2, 4]]), ALL)
    assert (before[:, 0] - after[:, 0]).abs().max() > 1e-3


def test_words_weigh_as_much_as_their_positions(encoder):
    words = encoder.tokens(torch.arange(11)) * encoder.scale
    assert float(words.detach().square().mean()) == pytest.approx(1.0, abs=0.3)
