import numpy as np
import pytest
from spelled_out import words_of

from vla_ros.evaluation.abstention import (
    area,
    draw_roc,
    REFUSED,
    refused_rates,
    roc,
    UNDERSTOOD,
)
from vla_ros.training.grammar import vocabulary

HIGH, LOW = np.array([0.9, 0.8, 0.7, 0.2]), np.array([0.1, 0.2, 0.3, 0.6])


def test_the_curve_goes_from_refusing_nothing_to_refusing_all():
    wrong, right = roc(HIGH, LOW)
    assert (wrong[0], right[0]) == (0.0, 0.0)
    assert (wrong[-1], right[-1]) == (1.0, 1.0)
    assert (np.diff(wrong) >= 0.0).all()
    assert (np.diff(right) >= 0.0).all()


def test_the_area_is_how_often_the_higher_is_the_one_to_refuse():
    # Of 16 pairs 12 + 1 are in order and one is a tie.
    assert area(HIGH, LOW) == pytest.approx(13.5 / 16)
    assert area(HIGH, HIGH) == 0.5


def test_the_area_is_that_below_the_curve():
    wrong, right = roc(HIGH, LOW)
    below = (np.diff(wrong) * (right[1:] + right[:-1]) / 2.0).sum()
    assert area(HIGH, LOW) == pytest.approx(below)


def test_refused_is_what_is_above_one_half():
    rates = refused_rates({'unrelated': HIGH, 'known phrasing': LOW})
    assert (rates['unrelated'].success, rates['known phrasing'].success) == (0.75, 0.25)


@pytest.mark.parametrize('name', [*UNDERSTOOD, *REFUSED])
def test_only_what_should_be_understood_has_a_task(name):
    rng = np.random.default_rng(0)
    trials = [{**UNDERSTOOD, **REFUSED}[name](rng) for _ in range(5)]
    assert {trial.task is not None for trial in trials} == {name in UNDERSTOOD}


@pytest.mark.parametrize(
    ('name', 'has_new_words'),
    [
        ('known phrasing', False),
        ('impossible', False),
        ('unseen phrasing', True),
        ('unrelated', True),
    ],
)
def test_some_sorts_are_in_phrasings_of_training(name, has_new_words):
    rng = np.random.default_rng(0)
    said = [{**UNDERSTOOD, **REFUSED}[name](rng).text for _ in range(40)]
    new = vocabulary('validation') - vocabulary()
    assert bool(words_of(said) & new) is has_new_words


def test_a_picture_is_drawn(tmp_path):
    scores = {**dict.fromkeys(UNDERSTOOD, LOW), **dict.fromkeys(REFUSED, HIGH)}
    draw_roc(scores, tmp_path / 'roc.png')
    assert (tmp_path / 'roc.png').read_bytes().startswith(b'\x89PNG')
