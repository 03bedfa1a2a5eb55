"""
A compositional grammar of commands: what people say, and what they mean by it.

The rules are in ``language.yaml``. Sentence patterns and words are split into train, validation
and test, each drawn apart: known patterns with new words, new patterns with known words, or both
new. Known phrasing means: both of train, and words that are common there. Validation chooses
settings; test is only ever measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import re
from typing import Any

import numpy as np
import yaml

from vla_ros.interfaces import NO_TASK
from vla_ros.sim.scene import COLOURS, OBJECT_NAMES, SHAPES, split_name
from vla_ros.sim.tasks import KINDS, Task

SPLITS = ('train', 'validation', 'test')
#: Parts of train: what people say, and words that few of them do.
COMMON, RARE = 'common', 'rare'
#: The lists of ``language.yaml`` that each of these draws from.
_LISTS = {
    'train': ('train', RARE),
    COMMON: ('train',),
    RARE: (RARE,),
    'validation': ('validation',),
    'test': ('test',),
}

#: A word that leaves the colour or shape open, and one for what no scene can hold.
ANY, OTHER = 'any', 'other'

#: What the words of a sentence can mean, in the order of the classes that policies learn.
MEANT_TASKS = (NO_TASK, *KINDS)
MEANT_COLOURS = (*COLOURS, ANY, OTHER)
MEANT_SHAPES = (*SHAPES, ANY, OTHER)
MEANT_ZONES = (*COLOURS, OTHER)

_SYLLABLES = ('zor', 'blax', 'qui', 'fnord', 'gli', 'mup', 'tav', 'rex', 'kro', 'sni', 'wug')
#: Of the words that there are more of.
_SHARE_OF_MORE = 0.4
_PLAIN = {
    'point': 'point at {object}',
    'pick': 'pick up {object}',
    'push': 'push {object} into {zone}',
    'put': 'put {object} in {zone}',
}


@dataclass(frozen=True)
class Meaning:
    """What a sentence means; None where it says nothing about it."""

    task: str
    colour: str | None = None
    shape: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Sentence:
    """A text and what it means."""

    text: str
    meaning: Meaning


@cache
def language() -> Mapping[str, Any]:
    """Return the rules of ``language.yaml``."""
    return yaml.safe_load(Path(__file__).with_name('language.yaml').read_text(encoding='utf-8'))


def rules(*keys: str, split: str) -> tuple[str, ...]:
    """
    Return the rules under ``keys`` of one split, the common ones where there are no rare ones.

    Raises ValueError for an unknown split.
    """
    if split not in _LISTS:
        raise ValueError(f'unknown split {split!r}; valid: {", ".join(_LISTS)}')
    node = language()
    for key in keys:
        node = node[key]
    found = [rule for part in _LISTS[split] for rule in node.get(part, ())]
    return tuple(found or node['train'])


def vocabulary(split: str = 'train') -> frozenset[str]:
    """Return every word that a rule of one split can say, or of no split in particular."""
    return frozenset(_words(language(), split))


def first_said(text: str, *keys: str, split: str) -> str:
    """Return which plain rule under ``keys`` of one split a text says first, '' if none."""
    either = '|'.join(map(re.escape, rules(*keys, split=split)))
    found = re.search(rf'\b({either})\b', text)
    return found.group() if found else ''


def words_of_colours() -> dict[str, str]:
    """
    Return the colour by each training word that speaks of no other, its plain name left out.

    Such words are said in more ways than training says them: a lexicon may explain them too.
    """
    colours = language()['colours']
    elsewhere = _words({**language(), 'colours': colours[OTHER]}, 'train') | set(COLOURS)
    said = {colour: _words(colours[colour], 'train') - elsewhere for colour in COLOURS}
    counts = Counter(word for words in said.values() for word in words)
    return {w: colour for colour in COLOURS for w in sorted(said[colour]) if counts[w] == 1}


def _words(node: Any, split: str) -> set[str]:
    if isinstance(node, str):
        return set(re.findall('[a-z]+', re.sub(r'{.*?}', ' ', node)))
    below = node
    if isinstance(node, Mapping):
        read = _LISTS[split]
        below = [node[key] for key in node if key in read or key not in (*SPLITS, RARE)]
    return {word for item in below for word in _words(item, split)}


def single_words(*keys: str, ending: str = '') -> frozenset[str]:
    """
    Return the training words under ``keys`` that stand alone, as 'cask' in '(flask|cask)'.

    Those are among them that stand before nothing but ``ending``.
    """
    bare = (rule.removesuffix(ending) for rule in rules(*keys, split='train'))
    options = (re.split(r'[()|]', rule) for rule in bare if ') ' not in rule)
    # A rule of several lines has spaces before a word; one after it joins it to the next.
    words = (word.lstrip() for some in options for word in some)
    return frozenset(word for word in words if word.isalpha())


def words_under(*keys: str) -> frozenset[str]:
    """Return every training word under ``keys``."""
    node = language()
    for key in keys:
        node = node[key]
    return frozenset(_words(node, 'train'))


def expand(rule: str, rng: np.random.Generator, fill: Callable[[str], str]) -> str:
    """
    Return one text of a rule: ``(a|b)`` is one of them, ``[x]`` stays half of the time.

    ``fill`` returns what a ``{name}`` stands for. Raises ValueError if a bracket is not closed.
    """
    text, end = _alternatives(rule, 0, '', rng, fill)
    assert end == len(rule)
    return ' '.join(text.split()).replace(' ,', ',')


def _alternatives(
    rule: str, at: int, close: str, rng: np.random.Generator, fill: Callable[[str], str]
) -> tuple[str, int]:
    """Read ``rule`` up to ``close``; return one of its alternatives and where it ended."""
    options, text = [], ''
    while at < len(rule):
        letter = rule[at]
        at += 1
        if letter == close:
            options.append(text)
            return options[int(rng.integers(len(options)))], at
        if letter == '|':
            options.append(text)
            text = ''
        elif letter == '(':
            inner, at = _alternatives(rule, at, ')', rng, fill)
            text += inner
        elif letter == '[':
            inner, at = _alternatives(rule, at, ']', rng, fill)
            text += inner if rng.random() < 0.5 else ''
        elif letter == '{':
            end = rule.index('}', at)
            text += fill(rule[at:end])
            at = end + 1
        elif letter == '\\':
            text += rule[at]
            at += 1
        else:
            text += letter
    if close:
        raise ValueError(f'{rule!r}: a bracket is not closed, expected {close!r}')
    return text, at


class Speaker:
    """
    Says things in the patterns of one split and the words of one.

    ``more`` words, by the keys that rules stand under, are said as well. All randomness is that
    of ``rng``.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        patterns: str = 'train',
        words: str = 'train',
        more: Mapping[tuple[str, ...], Sequence[str]] | None = None,
    ) -> None:
        self._rng = rng
        self._patterns = patterns
        self._words = words
        self._more = more or {}

    def command(
        self, kind: str, colour: str, shape: str, zone: str | None = None, plain_zone: bool = True
    ) -> Sentence:
        """
        Return a command of ``kind`` for a colour and shape (each of the MEANT ones).

        Without ``plain_zone`` the zone is one that nobody can tell, and ``zone`` is ignored.
        """
        if kind in ('push', 'put') and not plain_zone:
            return self._incomplete(kind, colour, shape)
        text = self._say(
            rules('commands', kind, split=self._patterns),
            object=lambda: self.object_phrase(colour, shape),
            zone=lambda: self.zone_phrase(zone or OTHER),
        )
        return Sentence(self._dressed(text), Meaning(kind, colour, shape, zone))

    def unrelated(self) -> Sentence:
        """Return a text that asks for nothing that the robot does."""
        text = self._say(
            rules('no_task', split=self._patterns),
            thing=lambda: self.object_phrase(self._pick(COLOURS), self._pick(SHAPES)),
            colour_word=lambda: self._word('colours', self._pick(COLOURS)),
            shape_word=lambda: self._word('shapes', self._pick(SHAPES)),
            zone_word=lambda: self._word('zones'),
        )
        return Sentence(self._dressed(text, share=0.1), Meaning(NO_TASK))

    def object_phrase(self, colour: str, shape: str) -> str:
        """Return a phrase for an object, as in 'the red block'; vague where either is ANY."""
        if colour == ANY and shape == OTHER:
            return self._say(rules('unclear_phrases', split=self._patterns))
        if colour == ANY:
            what = {'what': lambda: self._word('shapes', shape)}
            return self._say(rules('vague_phrases', split=self._patterns), **what)
        if shape == ANY:
            return self._say(
                rules('vague_phrases', split=self._patterns),
                what=lambda: f'{self._word("colours", colour)} {self._word("shapes", ANY)}',
            )
        return self._say(
            rules('object_phrases', split=self._patterns),
            colour=lambda: self._word('colours', colour),
            shape=lambda: self._word('shapes', shape),
            size=lambda: self._word('sizes'),
            other=lambda: self._another(colour),
        )

    def zone_phrase(self, colour: str) -> str:
        """Return a phrase for a zone, as in 'the green zone'; OTHER is none of the table's."""
        if colour == OTHER and self._rng.random() < 0.6:
            return self._say(rules('unclear_zones', split=self._patterns))
        return self._say(
            rules('zone_phrases', split=self._patterns),
            colour=lambda: self._word('colours', colour),
            zone=lambda: self._word('zones'),
        )

    def _incomplete(self, kind: str, colour: str, shape: str) -> Sentence:
        if self._rng.random() < 0.5:
            return Sentence(
                self.command(kind, colour, shape, OTHER).text,
                Meaning(kind, colour, shape, OTHER),
            )
        text = self._say(
            rules('incomplete', kind, split=self._patterns),
            object=lambda: self.object_phrase(colour, shape),
        )
        return Sentence(self._dressed(text), Meaning(kind, colour, shape, OTHER))

    def _another(self, colour: str) -> str:
        """Return words for an object that is not meant, of another colour."""
        others = [name for name in COLOURS if name != colour]
        word = self._word('colours', self._pick(others))
        shapes = (*SHAPES, ANY)
        return f'{word} {self._word("shapes", self._pick(shapes))}'

    def _word(self, *keys: str) -> str:
        if keys in self._more and self._rng.random() < _SHARE_OF_MORE:
            return self._pick(self._more[keys])
        return self._say(rules(*keys, split=self._words))

    def _say(self, options: tuple[str, ...], **fill: Callable[[], str]) -> str:
        fill['nonsense'] = self._nonsense
        return expand(self._pick(options), self._rng, lambda name: fill[name]())

    def _nonsense(self) -> str:
        """Return a word that means nothing, of syllables or of random letters."""
        rng = self._rng
        if rng.random() < 0.5:
            return ''.join(rng.choice(_SYLLABLES, size=int(rng.integers(1, 4))))
        return ''.join(rng.choice(list('abcdefghijklmnopqrstuvwxyz'), size=rng.integers(3, 9)))

    def _dressed(self, text: str, share: float = 0.3) -> str:
        """Return ``text`` as it is half of the time, else with polite words around it."""
        opening, ending = self._rng.random(2) < share
        if opening and not text.endswith('?'):
            text = f'{self._say(rules("openings", split=self._patterns))} {text}'
        if ending:
            text = f'{text} {self._say(rules("endings", split=self._patterns))}'
        for mark in ',.!?':
            text = text.replace(f' {mark}', mark)
        return text

    def _pick(self, options: Any) -> str:
        names = tuple(options)
        return names[int(self._rng.integers(len(names)))]


def sentence(
    task: Task, rng: np.random.Generator, patterns: str = 'train', words: str = 'train'
) -> str:
    """
    Return one way of asking for ``task``.

    ``patterns`` and ``words`` name the splits that sentence patterns, and words for colours,
    shapes and zones, are drawn from.
    """
    colour, shape = split_name(task.object)
    return Speaker(rng, patterns, words).command(task.kind, colour, shape, task.zone).text


def plain_sentence(task: Task) -> str:
    """Return the plainest way of asking for ``task``, as in 'pick up the red block'."""
    return _PLAIN[task.kind].format(object=f'the {task.object}', zone=f'the {task.zone} zone')


def unrelated(rng: np.random.Generator, split: str = 'train') -> str:
    """Return a sentence that is no task."""
    return Speaker(rng, split, split).unrelated().text


def every_plain_sentence() -> list[Sentence]:
    """Return the plain sentence of each task that any scene can ask for."""
    tasks = [
        Task(kind, name, zone)
        for kind in KINDS
        for name in OBJECT_NAMES
        for zone in (COLOURS if kind in ('push', 'put') else (None,))
    ]
    return [
        Sentence(plain_sentence(task), Meaning(task.kind, *split_name(task.object), task.zone))
        for task in tasks
    ]


def any_sentence(
    rng: np.random.Generator,
    patterns: str = 'train',
    words: str = 'train',
    more: Mapping[tuple[str, ...], Sequence[str]] | None = None,
) -> Sentence:
    """
    Return a sentence of any kind, in the shares that a reader of commands learns from.

    The rest is as for a ``Speaker``.
    """
    speaker = Speaker(rng, patterns, words, more)
    share = rng.random()
    if share < 0.2:
        return speaker.unrelated()
    kind = KINDS[int(rng.integers(len(KINDS)))]
    colour, shape = (tuple(names)[int(rng.integers(len(names)))] for names in (COLOURS, SHAPES))
    zone = tuple(COLOURS)[int(rng.integers(len(COLOURS)))] if kind in ('push', 'put') else None
    if share < 0.32:  # one of the two is left open
        colour, shape = (colour, ANY) if rng.random() < 0.5 else (ANY, shape)
    elif share < 0.44:  # nothing on the table is of this colour, or no such thing
        colour, shape = ((OTHER, shape), (colour, OTHER), (ANY, OTHER))[int(rng.integers(3))]
    return speaker.command(kind, colour, shape, zone, plain_zone=share < 0.94)
