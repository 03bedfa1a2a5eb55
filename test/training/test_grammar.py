from collections import Counter

import numpy as np
import pytest

from vla_ros.sim.scene import COLOURS, OBJECT_NAMES
from vla_ros.sim.tasks import KINDS, Task
from vla_ros.training.grammar import (
    COLOUR_WORDS,
    PATTERNS,
    plain_sentence,
    sentence,
    SHAPE_WORDS,
    Split,
    unrelated,
    ZONE_WORDS,
)

PUT = Task('put', 'red block', 'green')


def many(task, count=200, **splits):
    rng = np.random.default_rng(0)
    return [sentence(task, rng, **splits) for _ in range(count)]


@pytest.mark.parametrize(
    ('task', 'text'),
    [
        (Task('pick', 'red block'), 'pick up the red block'),
        (Task('point', 'blue ball'), 'point at the blue ball'),
        (Task('push', 'green cylinder', 'yellow'), 'push the green cylinder into the yellow zone'),
        (PUT, 'put the red block in the green zone'),
    ],
)
def test_the_plain_sentence_is_what_anyone_would_say(task, text):
    assert plain_sentence(task) == text


def test_the_same_seed_gives_the_same_sentences():
    assert many(PUT) == many(PUT)


def test_there_are_hundreds_of_ways_to_say_it():
    assert len(set(many(PUT, 500))) > 400


def test_every_sentence_names_the_object_and_the_zone():
    for text in many(PUT):
        assert any(word in text for word in COLOUR_WORDS['red'].train), text
        assert any(word in text for word in COLOUR_WORDS['green'].train), text
        assert any(word in text for word in SHAPE_WORDS['block'].train), text
        assert any(word in text for word in ZONE_WORDS.train), text


def test_test_words_never_stand_in_training_sentences():
    words = {*COLOUR_WORDS['red'].test, *SHAPE_WORDS['block'].test, *ZONE_WORDS.test}
    assert not any(word in text.split() for text in many(PUT) for word in words)


def test_test_patterns_use_training_words_when_asked():
    texts = many(PUT, patterns='test', words='train')
    assert not any(word in text for text in texts for word in COLOUR_WORDS['red'].test)
    assert set(texts).isdisjoint(many(PUT, 2000))


def test_no_way_to_ask_for_one_task_asks_for_another():
    for split in ('train', 'validation', 'test'):
        everything = [p for kind in KINDS for p in PATTERNS[kind].of(split)]
        assert [p for p, n in Counter(everything).items() if n > 1] == []


def test_every_colour_and_shape_has_words():
    assert set(COLOUR_WORDS) == set(COLOURS)
    assert {name.split()[1] for name in OBJECT_NAMES} == set(SHAPE_WORDS)


def test_an_alternative_in_two_splits_is_refused():
    with pytest.raises(ValueError, match='two splits'):
        Split(('red',), (), ('red',))


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match='train, validation, test'):
        sentence(PUT, np.random.default_rng(0), patterns='exam')


def test_unrelated_sentences_differ_between_splits():
    rng = np.random.default_rng(0)
    seen = {unrelated(rng) for _ in range(300)}
    assert seen.isdisjoint(unrelated(rng, 'test') for _ in range(100))
