"""The rules of ``language.yaml``: what they can say, and that the splits stay apart."""

from collections import defaultdict
from itertools import combinations
import re

import numpy as np
import pytest
from spelled_out import KNOWN_PARTS, lists, texts_of, words_of

from vla_ros.sim.scene import COLOURS, SHAPES
from vla_ros.sim.tasks import KINDS
from vla_ros.training.grammar import (
    ANY,
    any_sentence,
    COMMON,
    language,
    OTHER,
    RARE,
    rules,
    single_words,
    SPLITS,
    vocabulary,
    words_of_colours,
)

#: What each list of rules may leave to be filled in, by its first key.
FILLED = {
    'object_phrases': {'colour', 'shape', 'size', 'other'},
    'vague_phrases': {'what'},
    'zone_phrases': {'colour', 'zone'},
    'commands': {'object', 'zone'},
    'incomplete': {'object'},
    'no_task': {'thing', 'colour_word', 'shape_word', 'zone_word'},
}
LISTS = [pytest.param(path, node, id='/'.join(path)) for path, node in lists()]
WORD_LISTS = [p for p in LISTS if p.values[0][0] in ('colours', 'shapes', 'zones')]


@pytest.mark.parametrize(('path', 'node'), LISTS)
def test_every_rule_can_be_said(path, node):
    allowed = FILLED.get(path[0], set()) | {'nonsense'}
    for split in SPLITS:
        assert node[split], f'no rules of {split}'
        for text in texts_of(node, split):
            assert set(re.findall('{(.*?)}', text)) <= allowed
            assert not re.search(r'[()|\[\]\\]|  |^ | $', text), text
            assert text.strip() or path[0] == 'endings'


@pytest.mark.parametrize(('path', 'node'), LISTS)
def test_no_text_of_one_split_is_one_of_another(path, node):
    for one, other in combinations(SPLITS, 2):
        assert texts_of(node, one) & texts_of(node, other) == set()


@pytest.mark.parametrize(
    ('split', 'earlier', 'plain'),
    [('validation', SPLITS[:1], {*COLOURS, 'black', 'grey'}), ('test', SPLITS[:2], set())],
)
@pytest.mark.parametrize(('path', 'node'), WORD_LISTS)
def test_no_word_of_a_split_stands_in_an_earlier_one(path, node, split, earlier, plain):
    held_out = words_of(texts_of(node, split)) - KNOWN_PARTS - plain
    assert held_out
    for other in earlier:
        elsewhere = {word for _, some in lists() for word in words_of(texts_of(some, other))}
        assert held_out & elsewhere == set()


def test_which_held_out_words_only_put_those_of_training_together():
    made = {
        text
        for path, node in lists()
        if path[0] in ('colours', 'shapes', 'zones')
        for text in texts_of(node, 'test')
        if words_of([text]) <= vocabulary()
    }
    assert made == {'square thing', 'round thing'}


def test_no_training_sentence_has_a_colour_or_shape_word_of_test():
    held_out = {
        word
        for path, node in lists()
        if path[0] in ('colours', 'shapes')
        for word in words_of(texts_of(node, 'test'))
    } - KNOWN_PARTS
    assert {'crimson', 'brick', 'orb'} <= held_out
    rng = np.random.default_rng(0)
    said = [any_sentence(rng).text for _ in range(5000)]
    assert words_of(said) & held_out == set()


def test_no_sentence_of_a_task_asks_for_another():
    meant = defaultdict(set)
    for path, node in lists():
        if path[0] in ('commands', 'incomplete', 'no_task'):
            for split in SPLITS:
                for text in texts_of(node, split):
                    meant[text.replace('{thing}', '{object}')].add(path)
    assert [text for text, paths in meant.items() if len(paths) > 1] == []


@pytest.mark.parametrize('part', ['colours', 'shapes'])
def test_no_word_means_two_things(part):
    meant = defaultdict(set)
    for path, node in lists(language()[part]):
        for split in SPLITS:
            for text in texts_of(node, split) - {'{nonsense}'}:
                meant[text].add(path)
    assert [text for text, paths in meant.items() if len(paths) > 1] == []


def test_every_colour_and_shape_and_task_has_words():
    assert set(language()['colours']) == {*COLOURS, OTHER}
    assert set(language()['shapes']) == {*SHAPES, ANY, OTHER}
    assert set(language()['commands']) == set(KINDS)
    assert set(language()['incomplete']) == {'push', 'put'}


def test_every_command_names_what_it_needs():
    for kind in KINDS:
        for split in SPLITS:
            for text in texts_of(language()['commands'][kind], split):
                assert ('{object}' in text, '{zone}' in text) == (True, kind in ('push', 'put'))


def test_the_vocabulary_is_every_word_of_training_and_no_other():
    said = {word for _, node in lists() for word in words_of(texts_of(node, 'train'))}
    assert vocabulary() == said
    assert {'cube', 'scarlet', 'push', 'please', 'weather'} <= vocabulary()
    assert vocabulary() & {'crimson', 'brick', 'snatch', 'nonsense'} == set()


def test_training_says_what_is_rare_as_well():
    assert {'scarlet', 'oxblood', 'pillar'} <= vocabulary()
    assert {'scarlet', 'push'} <= vocabulary(COMMON) < vocabulary()
    assert 'oxblood' in vocabulary(RARE) - vocabulary(COMMON)
    assert rules('colours', 'red', split=RARE) == tuple(language()['colours']['red']['rare'])
    assert rules('sizes', split=RARE) == rules('sizes', split=COMMON)  # has none that are rare


def test_each_split_has_a_vocabulary_of_its_own():
    assert 'crimson' in vocabulary('test') - vocabulary() - vocabulary('validation')
    assert 'claret' in vocabulary('validation') - vocabulary() - vocabulary('test')


def test_words_of_colours_speak_of_one_colour_alone():
    words = words_of_colours()
    assert words['scarlet'] == 'red'
    assert words['cobalt'] == 'blue'
    # Said of several colours, of shapes too, in other rules, of colours that the table lacks.
    assert not words.keys() & {'dark', 'neon', 'apple', 'sky', 'pink', 'red', 'coloured'}


def test_single_words_stand_alone():
    words = single_words('shapes', 'block')
    assert {'block', 'cube', 'box'} <= words
    assert words & {'toy', 'dice', 'thing', 'shaped', 'brick'} == set()
    # Of '(toy (car|train)|paper clip)' none, and the first ones of later lines.
    absent = single_words('shapes', OTHER)
    assert {'helicopter', 'tetrahedron'} <= absent
    assert not absent & {'toy', 'paper'}
    assert words <= texts_of(language()['shapes']['block'], 'train')


def test_single_words_may_stand_before_an_ending():
    ending = ' (coloured|colored)'
    with_ending = single_words('colours', 'yellow', ending=ending)
    assert {'custard', 'primrose'} <= with_ending
    assert 'taxi' not in with_ending
    assert 'custard' not in single_words('colours', 'yellow')
