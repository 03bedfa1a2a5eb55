from every_policy import small_lesson, SPEC
import numpy as np
import pytest
import torch

from vla_ros.sim.scene import COLOURS, HELD_OUT_PAIRS, OBJECT_NAMES
from vla_ros.training.questions import ANSWERS, Questions, there, under_hand

FAR, NAN = 0.2, float('nan')


def frames(places, hand=(0.45, 0.05), closing=0.0):
    """Return four pictures of the things at these places (x, y) m, by their names."""
    pixels = torch.full((4, len(OBJECT_NAMES), 2), NAN)
    for name, (x, y) in places.items():
        pixel = SPEC.camera.project((x, y, 0.022))[0]
        pixels[:, OBJECT_NAMES.index(name)] = torch.from_numpy(pixel).float()
    state = torch.zeros(12, 8)
    state[:, 0], state[:, 1], state[:, 7] = hand[0], hand[1], closing
    return small_lesson().frames._replace(
        colours_px=pixels.view(4, len(COLOURS), -1, 2), state=state
    )


def answers(places, **hand):
    return [
        ANSWERS[i] if i >= 0 else None for i in under_hand(frames(places, **hand), SPEC.camera)
    ]


def test_the_nearest_thing_is_under_the_hand():
    places = {'blue ball': (0.45, 0.06), 'red block': (0.45, 0.1), 'red ball': (0.6, 0.1)}
    assert answers(places) == ['blue'] * 4


def test_nothing_is_under_the_hand_where_all_things_are_far():
    assert answers({'blue ball': (0.45, 0.05 + FAR)}) == ['nothing'] * 4
    assert answers({}) == ['nothing'] * 4


@pytest.mark.parametrize('beside_m', [0.035, 0.05])
def test_nobody_knows_of_what_is_neither_near_nor_far(beside_m):
    assert answers({'blue ball': (0.45, 0.05 + beside_m)}) == [None] * 4


def test_nobody_knows_while_the_hand_holds_something():
    assert answers({'blue ball': (0.45, 0.05)}, closing=0.5) == [None] * 4


def test_what_is_held_out_is_never_asked_for():
    held_out = frames(dict.fromkeys(HELD_OUT_PAIRS, (0.4, 0.0)))
    assert not there(held_out).any()


@pytest.fixture
def asked():
    """Return what was asked, each question by a number in place of its words, many times."""
    questions = Questions(
        lambda texts: [np.full((1 + i % 3, 2), i) for i in range(len(texts))], SPEC.camera
    )
    scene = frames({'red block': (0.45, 0.05), 'blue ball': (0.6, 0.1)})
    random = torch.Generator().manual_seed(0)
    return [questions.draw(scene, random) for _ in range(100)]


def test_every_other_question_is_what_is_under_the_hand(asked):
    for draw in asked:
        assert set(draw.text[::2, 0, 0].tolist()) <= {0.0, 1.0}
        assert (draw.answers[::2].argmax(dim=1) == ANSWERS.index('red')).all()


def test_the_others_are_as_often_of_things_that_are_there_as_of_others(asked):
    yes = torch.cat([draw.answers[1::2, ANSWERS.index('yes')] for draw in asked])
    assert 0.4 < yes.mean() < 0.6


def test_things_that_are_there_are_said_to_be_there(asked):
    asked_for = torch.cat([draw.text[1::2, 0, 0] for draw in asked])
    yes = torch.cat([draw.answers[1::2, ANSWERS.index('yes')] for draw in asked]) > 0.5
    # Two phrasings each, after the two of what is under the hand.
    assert set(((asked_for[yes] - 2) // 2).tolist()) == {0.0, 7.0}
    assert not set(((asked_for[~yes] - 2) // 2).tolist()) & {0.0, 7.0}


def test_a_shorter_question_is_masked_at_its_end(asked):
    draw = asked[0]
    lengths = 1 + draw.text[:, 0, 0].long() % 3
    assert torch.equal(draw.text_mask, torch.arange(3) < lengths[:, None])
    assert (draw.text[~draw.text_mask] == 0.0).all()
