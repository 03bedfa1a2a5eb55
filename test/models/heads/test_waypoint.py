from every_policy import POSE, SPEC
import pytest
import torch
from torch import nn

from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.heads.waypoint import WaypointHead

WIDTH, CELLS, WORDS = 8, 4, 3


@pytest.fixture
def head():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return WaypointHead(WIDTH, 2, SPEC, cell_px=16).eval()


def given(attention=None):
    there = torch.ones(1, WORDS, dtype=torch.bool)
    seen, said = torch.randn(1, CELLS, WIDTH), torch.randn(1, WORDS, WIDTH)
    if attention is None:
        attention = torch.rand(1, WORDS, CELLS)
    vision = Tokens(seen, torch.ones(1, CELLS, dtype=torch.bool))
    return said, there, attention, vision, Tokens(said, there), POSE[None]


def look_at_word(head, word, cell):
    """Let the first look ask for one word, which looks at one cell, and the hand go there."""
    for layer in (head.gaze.ask, head.gaze.mend, head.to_move[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    head.to_move[-1].bias.data[0] = 50.0
    said, there, _, vision, words, state = given()
    attention = torch.zeros(1, WORDS, CELLS)
    attention[0, word, cell] = 1.0
    there = there.clone()
    there[0] = torch.arange(WORDS) == word
    return head(said, there, attention, vision, Tokens(words.tokens, there), state)


@pytest.mark.parametrize('cell', range(CELLS))
def test_the_way_leads_to_where_the_word_looks(head, cell):
    chunk = look_at_word(head, 1, cell)
    there = head.gaze.xy[cell].clamp(head.low[:2], head.high[:2])
    way = chunk.position[0, -1, :2] - POSE[:2]
    wanted = there - POSE[:2]
    assert float(torch.cosine_similarity(way, wanted, dim=0)) > 0.999


def test_what_masked_words_look_at_changes_nothing(head):
    said, there, attention, vision, words, state = given()
    there = torch.tensor([[True, True, False]])
    words = Tokens(words.tokens, there)
    other = attention.clone()
    other[:, 2] = torch.rand(CELLS)
    for one, two in zip(
        head(said, there, attention, vision, words, state),
        head(said, there, other, vision, words, state),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


def test_nothing_that_it_reads_takes_it_out_of_the_workspace(head):
    said, *others = given()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(50.0)
    position = head(100.0 * said, *others).position
    assert bool((position >= head.low - 1e-6).all())
    assert bool((position <= head.high + 1e-6).all())


def test_gradients_reach_where_words_look(head):
    said, there, attention, *others = given()
    attention.requires_grad_()
    head.train()(said, there, attention, *others).position.square().sum().backward()
    assert attention.grad is not None
    assert float(attention.grad.abs().max()) > 0.0


def test_it_scripts_and_computes_the_same(head):
    inputs = given()
    for one, other in zip(head(*inputs), torch.jit.script(head)(*inputs), strict=True):
        torch.testing.assert_close(one, other)
