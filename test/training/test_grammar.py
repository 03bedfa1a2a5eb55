import re

import numpy as np
import pytest
from spelled_out import every_text, KNOWN_PARTS, lists, texts_of, words_of

from vla_ros.sim.scene import COLOURS, OBJECT_NAMES
from vla_ros.sim.tasks import Task
from vla_ros.training.grammar import (
    ANY,
    any_sentence,
    every_plain_sentence,
    expand,
    first_said,
    language,
    Meaning,
    MEANT_COLOURS,
    MEANT_SHAPES,
    MEANT_TASKS,
    MEANT_ZONES,
    OTHER,
    plain_sentence,
    rules,
    sentence,
    Speaker,
    SPLITS,
    unrelated,
    vocabulary,
)

PUT = Task('put', 'red block', 'green')


def many(count=300, seed=0, **splits):
    rng = np.random.default_rng(seed)
    return [any_sentence(rng, **splits) for _ in range(count)]


def said(say, count=60):
    """Return what a speaker makes of ``say(speaker)``, so many times."""
    speaker = Speaker(np.random.default_rng(0))
    return [say(speaker) for _ in range(count)]


# The expander.


@pytest.mark.parametrize(
    ('rule', 'texts'),
    [
        ('plain words', {'plain words'}),
        ('(a|b) c', {'a c', 'b c'}),
        ('[please] go', {'please go', 'go'}),
        ('(a|(b|c) d)', {'a', 'b d', 'c d'}),
        ('go [(up|down)]', {'go', 'go up', 'go down'}),
        ('take {object}', {'take {object}'}),
        (r'(why\?|what \(so\))', {'why?', 'what (so)'}),
        ('now[,] go', {'now go', 'now, go'}),
        ('well [,] go', {'well go', 'well, go'}),
        ('(|a)', {'', 'a'}),
    ],
)
def test_a_rule_says_exactly_its_alternatives(rule, texts):
    assert every_text(rule) == texts


def test_a_name_is_filled_in_anew_each_time():
    names = iter('ab')
    text = expand('{x} and {x}', np.random.default_rng(0), lambda name: name + next(names))
    assert text == 'xa and xb'


def test_alternatives_are_equally_likely():
    rng = np.random.default_rng(0)
    texts = [expand('(a|b|c) [d]', rng, str) for _ in range(3000)]
    assert [round(sum(text[0] == x for text in texts) / 3000, 1) for x in 'abc'] == [0.3] * 3
    assert sum('d' in text for text in texts) / 3000 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize('rule', ['(a|b', 'a [b', '(a|[b)', '{object'])
def test_a_bracket_that_is_not_closed_is_refused(rule):
    with pytest.raises(ValueError, match='not'):
        expand(rule, np.random.default_rng(0), str)


# What is said, and what it means.


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


def test_there_is_one_plain_sentence_for_each_task():
    plain = every_plain_sentence()
    assert len({s.text for s in plain}) == len(plain) == 2 * 18 + 2 * 18 * 6
    by_text = {s.text: s.meaning for s in plain}
    assert by_text[plain_sentence(PUT)] == Meaning('put', 'red', 'block', 'green')
    assert by_text['pick up the red block'] == Meaning('pick', 'red', 'block')
    assert {f'{m.colour} {m.shape}' for m in by_text.values()} == set(OBJECT_NAMES)


def test_the_word_that_was_said_for_a_colour_is_found():
    for seed in range(50):
        task = Task('put', 'orange ball', 'orange')
        text = sentence(task, np.random.default_rng(seed), words='test')
        word = first_said(text, 'colours', 'orange', split='test')
        assert word in {'marigold', 'mandarin', 'pumpkin coloured'}
        assert first_said(text, 'shapes', 'ball', split='test') in {'orb', 'round thing', 'bubble'}
    assert first_said('point at the absorber', 'shapes', 'ball', split='test') == ''


@pytest.mark.parametrize('splits', [{}, {'patterns': 'test'}, {'words': 'validation'}])
def test_the_same_seed_says_the_same(splits):
    assert many(50, **splits) == many(50, **splits)
    assert many(50, **splits) != many(50, seed=1, **splits)


@pytest.mark.parametrize('patterns', SPLITS)
@pytest.mark.parametrize('words', SPLITS)
def test_every_meaning_is_one_that_policies_learn(patterns, words):
    for made in many(500, patterns=patterns, words=words):
        assert made.text == ' '.join(made.text.split())
        assert made.text
        assert not re.search(r'[{}|\[\]\\]| [,.!?]', made.text)
        meaning = made.meaning
        assert meaning.task in MEANT_TASKS
        if meaning.task == 'none':
            assert meaning == Meaning('none')
            continue
        assert meaning.colour in MEANT_COLOURS
        assert meaning.shape in MEANT_SHAPES
        if meaning.task in ('push', 'put'):
            assert meaning.zone in MEANT_ZONES
        else:
            assert meaning.zone is None


def test_every_kind_of_meaning_is_said():
    meanings = [s.meaning for s in many(3000)]
    assert {m.task for m in meanings} == set(MEANT_TASKS)
    assert {m.colour for m in meanings} == {*MEANT_COLOURS, None}
    assert {m.shape for m in meanings} == {*MEANT_SHAPES, None}
    assert {m.zone for m in meanings} == {*MEANT_ZONES, None}
    assert np.mean([m.task == 'none' for m in meanings]) == pytest.approx(0.2, abs=0.03)


def test_a_command_says_what_it_means():
    colours, zones, shapes = (
        {text for rule in rules(*keys, split='train') for text in every_text(rule)}
        for keys in (('colours', 'red'), ('colours', 'green'), ('shapes', 'block'))
    )
    for made in said(lambda speaker: speaker.command('put', 'red', 'block', 'green'), 200):
        assert made.meaning == Meaning('put', 'red', 'block', 'green')
        for words in (colours, zones, shapes):
            assert any(word in made.text for word in words), made.text


def test_an_object_that_is_not_meant_is_of_another_colour():
    named = said(lambda speaker: speaker.object_phrase('red', 'block'), 2000)
    contrasts = [text for text in named if ', not the ' in text]
    reds = texts_of(language()['colours']['red'], 'train')
    assert len(contrasts) > 20
    assert not any(text.partition(', not the ')[2].split(' ')[0] in reds for text in contrasts)


def test_a_colour_alone_is_vague():
    for made in said(lambda speaker: speaker.command('pick', 'blue', ANY)):
        assert made.meaning == Meaning('pick', 'blue', ANY)
        blues = texts_of(language()['colours']['blue'], 'train')
        assert any(word in made.text for word in blues)


def test_a_shape_alone_is_vague():
    balls = texts_of(language()['shapes']['ball'], 'train')
    for made in said(lambda speaker: speaker.command('pick', ANY, 'ball')):
        assert made.meaning == Meaning('pick', ANY, 'ball')
        assert any(word in made.text for word in balls)


def test_what_nobody_can_tell_is_unclear():
    unclear = texts_of(language()['unclear_phrases'], 'train')
    for made in said(lambda speaker: speaker.command('pick', ANY, OTHER)):
        assert made.meaning == Meaning('pick', ANY, OTHER)
        assert any(phrase in made.text for phrase in unclear)


def test_a_command_without_its_zone_is_incomplete():
    zones = {
        text
        for colour in COLOURS
        for text in texts_of(language()['colours'][colour], 'train')
        if ' ' not in text
    }
    for kind in ('push', 'put'):
        made = said(
            lambda speaker, kind=kind: speaker.command(
                kind, OTHER, 'ball', 'green', plain_zone=False
            ),
            100,
        )
        assert {s.meaning for s in made} == {Meaning(kind, OTHER, 'ball', OTHER)}
        endings = [s.text.split(' ')[-1].strip('.!') for s in made]
        assert not any(word in zones for word in endings)


@pytest.mark.parametrize('kind', ['point', 'pick'])
def test_a_task_without_zones_is_complete_without_one(kind):
    made = Speaker(np.random.default_rng(0)).command(kind, 'red', 'ball', plain_zone=False)
    assert made.meaning == Meaning(kind, 'red', 'ball')


def test_what_is_unrelated_means_no_task():
    assert {s.meaning for s in said(Speaker.unrelated)} == {Meaning('none')}


def test_there_are_thousands_of_ways_to_say_it():
    rng = np.random.default_rng(0)
    assert len({sentence(PUT, rng) for _ in range(2000)}) > 1900


def test_words_and_patterns_are_drawn_apart():
    rng = np.random.default_rng(0)
    reds = words_of(texts_of(language()['colours']['red'], 'test')) - KNOWN_PARTS
    parts = [node for path, node in lists() if path[0] in ('colours', 'shapes', 'sizes')]
    new_words = words_of(text for node in parts for text in texts_of(node, 'test'))
    for _ in range(100):
        assert not words_of([sentence(PUT, rng, patterns='test')]) & reds
        with_new_words = words_of([sentence(Task('pick', 'red block'), rng, words='test')])
        assert with_new_words & reds
        assert with_new_words <= vocabulary() | new_words


def test_unrelated_sentences_differ_between_splits():
    rng = np.random.default_rng(0)
    seen = {unrelated(rng) for _ in range(300)}
    assert seen.isdisjoint(unrelated(rng, 'test') for _ in range(100))


def test_more_words_are_said_as_well():
    more = {('colours', 'red'): ['zibb']}
    rng = np.random.default_rng(0)
    made = [any_sentence(rng, more=more) for _ in range(1500)]
    # Beside what is meant, sentences say what is not.
    unmeant = re.compile('not|never|instead|than|opposed|over')
    reds = [s for s in made if 'zibb' in s.text and not unmeant.search(s.text)]
    asked = [s for s in reds if s.meaning.task != 'none']
    assert len(asked) > 20
    assert all('red' in (s.meaning.colour, s.meaning.zone) for s in asked)


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match='train, common, rare, validation, test'):
        rules('zones', split='exam')
    with pytest.raises(ValueError, match='train, common, rare, validation, test'):
        sentence(PUT, np.random.default_rng(0), patterns='exam')
