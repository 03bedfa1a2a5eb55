import pytest
import torch
from torch import nn

from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.layers.gaze import Gaze, NAMED

WIDTH, WORDS, ROWS, COLUMNS = 8, 3, 3, 4
CELLS = ROWS * COLUMNS
XY = torch.cartesian_prod(torch.arange(ROWS), torch.arange(COLUMNS)) * 0.1


@pytest.fixture
def gaze():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Gaze(WIDTH, XY, ROWS, COLUMNS).eval()


def words(*there):
    return Tokens(torch.randn(1, WORDS, WIDTH), torch.tensor([there]))


def without_mending(gaze):
    nn.init.zeros_(gaze.mend[-1].weight)
    nn.init.zeros_(gaze.mend[-1].bias)


@pytest.mark.parametrize('cell', [0, 5, CELLS - 1])
def test_a_look_is_where_its_word_looks(gaze, cell):
    without_mending(gaze)
    attention = torch.zeros(1, WORDS, CELLS)
    attention[0, 1, cell] = 1.0
    looks = gaze(attention, words(False, True, False), torch.randn(1, CELLS, WIDTH))
    named = looks.points[0, :NAMED]
    torch.testing.assert_close(named, XY[cell].expand(NAMED, -1), atol=1e-4, rtol=0.0)


def test_a_diffuse_rest_does_not_move_it_in_use(gaze):
    without_mending(gaze)
    attention = torch.full((1, WORDS, CELLS), 0.4 / CELLS)
    attention[0, :, 0] = 0.6
    looks = gaze(attention, words(True, True, True), torch.randn(1, CELLS, WIDTH))
    assert (looks.points[0, :NAMED] - XY[0]).norm(dim=-1).max().item() < 0.005


def test_what_masked_words_look_at_changes_nothing(gaze):
    attention, cells = torch.rand(1, WORDS, CELLS), torch.randn(1, CELLS, WIDTH)
    said = words(True, True, False)
    other = attention.clone()
    other[:, 2] = torch.rand(CELLS)
    for one, two in zip(gaze(attention, said, cells), gaze(other, said, cells), strict=True):
        torch.testing.assert_close(one, two)


def test_each_look_can_ask_for_a_word_of_its_own(gaze):
    without_mending(gaze)
    nn.init.zeros_(gaze.ask.bias)
    gaze.ask.weight.data.copy_(50.0 * torch.eye(2, WIDTH))
    said = Tokens(torch.eye(WORDS, WIDTH)[None], torch.ones(1, WORDS, dtype=torch.bool))
    attention = torch.zeros(1, WORDS, CELLS)
    attention[0, 0, 2] = attention[0, 1, 7] = 1.0
    looks = gaze(attention, said, torch.randn(1, CELLS, WIDTH))
    torch.testing.assert_close(looks.points[0, :NAMED], XY[[2, 7]], atol=1e-4, rtol=0.0)
    assert looks.scores[0, :NAMED].argmax(dim=-1).tolist() == [2, 7]


def test_the_hand_is_found_without_words(gaze):
    without_mending(gaze)
    cells = torch.randn(1, CELLS, WIDTH)
    gaze.hand.weight.data.copy_(50.0 * cells[:, 5])
    for said in (words(True, True, True), words(False, False, False)):
        looks = gaze(torch.rand(1, WORDS, CELLS), said, cells)
        torch.testing.assert_close(looks.points[0, NAMED], XY[5], atol=1e-3, rtol=0.0)


def test_gradients_reach_where_words_look(gaze):
    attention = torch.rand(1, WORDS, CELLS, requires_grad=True)
    looks = gaze.train()(attention, words(True, True, True), torch.randn(1, CELLS, WIDTH))
    looks.points.square().sum().backward()
    assert attention.grad is not None
    assert float(attention.grad.abs().max()) > 0.0
