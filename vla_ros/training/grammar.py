"""
A compositional grammar of commands: from a task to many ways of asking for it.

Sentence patterns and words are split into train, validation and test, each drawn apart: known
patterns with new words, new patterns with known words, or both new. Known phrasing means: both of
train. Validation chooses settings; test is only ever measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.sim.scene import split_name
from vla_ros.sim.tasks import Task

SPLITS = ('train', 'validation', 'test')


@dataclass(frozen=True)
class Split:
    """Alternatives, by the split that may use them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        everything = (*self.train, *self.validation, *self.test)
        if len(set(everything)) < len(everything):
            raise ValueError('an alternative stands in two splits, or twice in one')

    def of(self, split: str) -> tuple[str, ...]:
        """Return the alternatives of one split; raises ValueError for an unknown one."""
        if split not in SPLITS:
            raise ValueError(f'unknown split {split!r}; valid: {", ".join(SPLITS)}')
        return getattr(self, split)


COLOUR_WORDS = {
    'red': Split(
        ('red', 'scarlet', 'ruby', 'cherry red', 'bright red', 'reddish'),
        ('vermilion',),
        ('crimson', 'blood-coloured'),
    ),
    'green': Split(
        ('green', 'emerald', 'grass green', 'leaf green', 'jade', 'greenish'),
        ('mint',),
        ('lime', 'forest-coloured'),
    ),
    'blue': Split(
        ('blue', 'azure', 'cobalt', 'sky blue', 'sapphire', 'bluish'),
        ('ultramarine',),
        ('navy', 'ocean-coloured'),
    ),
    'yellow': Split(
        ('yellow', 'golden', 'lemon', 'sunny yellow', 'canary', 'yellowish'),
        ('mustard',),
        ('gold', 'banana-coloured'),
    ),
    'purple': Split(
        ('purple', 'violet', 'plum', 'lavender', 'lilac', 'deep purple'),
        ('mauve',),
        ('amethyst', 'grape-coloured'),
    ),
    'orange': Split(
        ('orange', 'tangerine', 'apricot', 'pumpkin orange', 'bright orange', 'amber'),
        ('carrot-coloured',),
        ('marigold', 'mandarin'),
    ),
}

SHAPE_WORDS = {
    'block': Split(
        ('block', 'cube', 'box', 'square block', 'cuboid', 'wooden block'),
        ('dice',),
        ('brick', 'square thing'),
    ),
    'cylinder': Split(
        ('cylinder', 'can', 'tube', 'tin', 'cylindrical piece', 'pillar'),
        ('canister',),
        ('drum', 'barrel'),
    ),
    'ball': Split(
        ('ball', 'sphere', 'round ball', 'marble', 'globe', 'spherical object'),
        ('bead',),
        ('orb', 'round thing'),
    ),
}

ZONE_WORDS = Split(
    ('zone', 'area', 'region', 'circle', 'target', 'patch', 'spot', 'disc'),
    ('pad',),
    ('field', 'mat'),
)

OBJECT_PATTERNS = Split(
    (
        'the {colour} {shape}',
        'that {colour} {shape}',
        'a {colour} {shape}',
        '{colour} {shape}',
        'the {shape} that is {colour}',
        'the {shape} which is {colour}',
        'the {colour} colored {shape}',
    ),
    ('the one {shape} that looks {colour}',),
    ('the {shape} painted {colour}', 'this {colour} {shape}'),
)

ZONE_PATTERNS = Split(
    ('the {colour} {zone}', 'the {zone} that is {colour}', 'that {colour} {zone}'),
    ('the {colour} colored {zone}',),
    ('the {zone} painted {colour}', 'the {zone} marked in {colour}'),
)

PATTERNS = {
    'point': Split(
        (
            'point at {object}',
            'point to {object}',
            'point towards {object}',
            'hover over {object}',
            'hover above {object}',
            'move over {object}',
            'move above {object}',
            'go to {object}',
            'go over to {object}',
            'go above {object}',
            'indicate {object}',
            'show me {object}',
            'show me where {object} is',
            'position the gripper over {object}',
            'move your hand above {object}',
            'bring the gripper over {object}',
            'stay above {object}',
            'point out {object}',
            'aim at {object}',
            'hold your hand over {object}',
            'find {object} and point at it',
            'reach over {object} without touching it',
            'where is {object}?',
            'move the arm to {object}',
        ),
        ('locate {object}', 'direct the gripper to {object}', 'signal {object}'),
        (
            'hang over {object}',
            'tell me where {object} is by pointing',
            'place your hand above {object}',
            'which one is {object}? point at it',
        ),
    ),
    'pick': Split(
        (
            'pick up {object}',
            'pick {object} up',
            'pick {object}',
            'grab {object}',
            'take {object}',
            'lift {object}',
            'lift up {object}',
            'lift {object} up',
            'grasp {object}',
            'grasp and lift {object}',
            'raise {object}',
            'get {object}',
            'get hold of {object}',
            'take hold of {object}',
            'take {object} off the table',
            'collect {object}',
            'fetch {object}',
            'hold {object} up in the air',
            'grab {object} and lift it',
            'pick up {object} from the table',
            'hoist {object}',
            'seize {object}',
            'bring {object} up',
            'close your hand on {object} and raise it',
        ),
        ('clutch {object}', 'pluck {object} from the table', 'have {object} in your hand'),
        (
            'snatch {object}',
            'elevate {object}',
            'retrieve {object}',
            'scoop up {object}',
        ),
    ),
    'push': Split(
        (
            'push {object} into {zone}',
            'push {object} to {zone}',
            'push {object} onto {zone}',
            'push {object} over to {zone}',
            'slide {object} into {zone}',
            'slide {object} to {zone}',
            'slide {object} across the table to {zone}',
            'shove {object} into {zone}',
            'shove {object} to {zone}',
            'nudge {object} into {zone}',
            'nudge {object} to {zone}',
            'sweep {object} into {zone}',
            'sweep {object} to {zone}',
            'push {object} until it is in {zone}',
            'push {object} along the table into {zone}',
            'slide {object} over to {zone}',
            'use the gripper to push {object} into {zone}',
            'give {object} a push into {zone}',
            'make {object} slide into {zone}',
            'without lifting it, move {object} into {zone}',
            'push {object} towards {zone}',
            'into {zone}, push {object}',
            'bump {object} into {zone}',
            'drive {object} into {zone} by pushing it',
        ),
        (
            'thrust {object} into {zone}',
            'scoot {object} over to {zone}',
            'push {object} so that it ends in {zone}',
        ),
        (
            'propel {object} into {zone}',
            'glide {object} to {zone}',
            'to {zone}, slide {object}',
            'shift {object} to {zone} by pushing',
        ),
    ),
    'put': Split(
        (
            'put {object} in {zone}',
            'put {object} into {zone}',
            'put {object} on {zone}',
            'put {object} onto {zone}',
            'place {object} in {zone}',
            'place {object} on {zone}',
            'place {object} onto {zone}',
            'set {object} down in {zone}',
            'set {object} on {zone}',
            'drop {object} in {zone}',
            'drop {object} off in {zone}',
            'lay {object} on {zone}',
            'pick up {object} and put it in {zone}',
            'pick up {object} and place it on {zone}',
            'pick {object} and place it in {zone}',
            'take {object} and put it into {zone}',
            'lift {object} and set it down in {zone}',
            'carry {object} to {zone}',
            'carry {object} over to {zone} and release it',
            'grab {object} and drop it in {zone}',
            'in {zone}, put {object}',
            'deliver {object} to {zone}',
            'transfer {object} to {zone}',
            'bring {object} to {zone}',
        ),
        (
            'deposit {object} in {zone}',
            'grasp {object} and leave it on {zone}',
            'on {zone}, place {object}',
        ),
        (
            'position {object} inside {zone}',
            'stow {object} in {zone}',
            'leave {object} in {zone}',
            'fetch {object} and set it on {zone}',
        ),
    ),
}

_OPENINGS = Split(
    (
        'please',
        'could you',
        'can you',
        'now',
        'robot,',
        'i want you to',
        'i would like you to',
        'go ahead and',
        'next,',
        'your task is to',
    ),
    ('would you kindly',),
    ('be so good as to', 'i need you to'),
)
_ENDINGS = Split(('please', 'now', 'for me', 'thanks', '.', '!'), ('right away',), ('if you can',))

#: What is no task for this robot.
UNRELATED = Split(
    (
        'what is the weather like today?',
        'hello',
        'hi there',
        'how are you?',
        'tell me a joke',
        'sing a song',
        'what time is it?',
        'thank you',
        'good morning',
        'who made you?',
        'the',
        'red',
        'block',
        'zone',
        'asdf qwer',
        'xyzzy',
        'lorem ipsum dolor sit amet',
        'i like the colour blue',
        'open the window',
        'turn on the light',
        'write an essay about history',
        'what is two plus two?',
        'make me a coffee',
        'drive the car to the station',
        'my cat is asleep',
        'play some music',
        'yes',
        'no',
        'maybe later',
        'blah blah blah',
        'do nothing',
        'stay where you are',
        'never mind',
        'the sky is blue',
        'oranges are round',
        '1 2 3 4 5',
    ),
    ('call my mother', 'how tall is the tower?', 'qwertz uiop', 'do not move'),
    (
        'book a table for two',
        'what is the capital of france?',
        'fjdk slaq woei',
        'is it going to rain?',
        'delete all files',
        'i am hungry',
    ),
)


def sentence(
    task: Task, rng: np.random.Generator, patterns: str = 'train', words: str = 'train'
) -> str:
    """
    Return one way of asking for ``task``.

    ``patterns`` and ``words`` name the splits that sentence patterns, and words for colours,
    shapes and zones, are drawn from.
    """
    colour, shape = split_name(task.object)
    phrase = _pick(OBJECT_PATTERNS.of(patterns), rng).format(
        colour=_pick(COLOUR_WORDS[colour].of(words), rng),
        shape=_pick(SHAPE_WORDS[shape].of(words), rng),
    )
    zone = ''
    if task.zone is not None:
        zone = _pick(ZONE_PATTERNS.of(patterns), rng).format(
            colour=_pick(COLOUR_WORDS[task.zone].of(words), rng),
            zone=_pick(ZONE_WORDS.of(words), rng),
        )
    text = _pick(PATTERNS[task.kind].of(patterns), rng).format(object=phrase, zone=zone)
    return _dressed(text, rng, patterns)


def plain_sentence(task: Task) -> str:
    """Return the plainest way of asking for ``task``, as in 'pick up the red block'."""
    return (
        PATTERNS[task.kind]
        .train[0]
        .format(object=f'the {task.object}', zone=f'the {task.zone} zone')
    )


def unrelated(rng: np.random.Generator, split: str = 'train') -> str:
    """Return a sentence that is no task."""
    return _pick(UNRELATED.of(split), rng)


def _dressed(text: str, rng: np.random.Generator, split: str) -> str:
    """Return ``text`` as it is half of the time, else with polite words around it."""
    opening, ending = rng.random(2) < 0.3
    if opening and not text.endswith('?'):
        text = f'{_pick(_OPENINGS.of(split), rng)} {text}'
    if ending:
        word = _pick(_ENDINGS.of(split), rng)
        text += word if word in '.!' else f' {word}'
    return text


def _pick(alternatives: tuple[str, ...], rng: np.random.Generator) -> str:
    return alternatives[int(rng.integers(len(alternatives)))]
