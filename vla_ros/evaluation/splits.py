"""
What a policy is tested on: each trial is a scene, the words, and what they ask for.

All of a trial follows from its ``Spec``, so that a failure can be seen again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_ros.evaluation.disturbances import DISTURBANCES
from vla_ros.sim.scene import COLOURS, HELD_OUT_PAIRS, OBJECT_NAMES, sample_scene, SceneSpec
from vla_ros.sim.tasks import KINDS, possible_tasks, Task
from vla_ros.training.grammar import COMMON, RARE, sentence, unrelated

#: Each split and what is new in it.
SPLITS = {
    'known': 'phrasings as in training, new scenes',
    'rare': 'words that few people say and training seldom, known sentence patterns',
    'patterns': 'sentence patterns never trained on, known words',
    'words': 'words never trained on, known sentence patterns',
    'both': 'sentence patterns and words never trained on',
    'pairs': 'objects never demonstrated, of a known colour and shape; sentences may name them',
    'swap': 'one scene, two commands that name different objects: both must be reached',
    'refuse': 'nothing that can be done is asked for: it must not move and say that it will not',
    'disturbed': 'phrasings as in training, but the policy is given worse pictures or state',
}
#: The split of the user's own commands.
COMMANDS = 'commands'

#: Where the sentence patterns and the words of a split are from, in the grammar.
_PHRASINGS = {
    'rare': ('train', RARE),
    'patterns': ('test', COMMON),
    'words': ('train', 'test'),
    'both': ('test', 'test'),
}
KNOWN = ('train', COMMON)
#: Splits in words of test: these are few, so that each is in many trials.
IN_TEST_WORDS = tuple(split for split, (_, words) in _PHRASINGS.items() if words == 'test')
#: The row of ``refuse`` whose texts hold the robot by themselves: no policy is asked.
UNASKED = 'empty'
_SILENCE = ('', '   ', '...', '?', '\u200b', 'stop', 'Stop!', 'please wait')


@dataclass(frozen=True)
class Spec:
    """
    Names one trial: ``row`` is its line in the split's table, ``seed`` its scene and words.

    ``turn`` tells the two commands of a swap apart; ``said`` is a command of the user's own.
    """

    split: str
    row: str
    seed: int
    turn: int = 0
    said: tuple[Task, str] | None = None


#: Ends the seeds of all trials: no scene of training is drawn from one that ends so, and numpy
#: takes a 0 there for nothing, (5, 0) for 5.
_OF_TRIALS = 2


@dataclass(frozen=True)
class Trial:
    """A scene and a text; ``task`` is what the text means, None if nothing may move."""

    scene: SceneSpec
    text: str
    task: Task | None
    disturbance: str = ''


def rows(split: str) -> tuple[str, ...]:
    """Return the lines of a split's table."""
    return {'refuse': tuple(_REFUSED), 'disturbed': tuple(DISTURBANCES)}.get(split, KINDS)


def specs(split: str, episodes: int, seed: int) -> list[Spec]:
    """
    Return the trials of a split, the first scene from ``seed``.

    There are ``episodes`` of each row of ``known``; the rows of other splits share them. A swap
    counts as one episode and is two trials.
    """
    lines = rows(split)
    count = episodes if split == 'known' else -(-episodes // len(lines))
    turns = (0, 1) if split == 'swap' else (0,)
    return [
        Spec(split, row, seed + i, turn) for row in lines for i in range(count) for turn in turns
    ]


def own_specs(commands: list[tuple[Task, str]], episodes: int, seed: int) -> list[Spec]:
    """Return ``episodes`` trials of each of the user's own commands, in different scenes."""
    return [
        Spec(COMMANDS, said[0].kind, (seed + i) * len(commands) + line, said=said)
        for line, said in enumerate(commands)
        for i in range(episodes)
    ]


def random_of(spec: Spec) -> np.random.Generator:
    """Return what a trial is drawn from."""
    return np.random.default_rng((spec.seed, rows(spec.split).index(spec.row), _OF_TRIALS))


def build(spec: Spec) -> Trial:
    """Return the trial that ``spec`` names."""
    rng = random_of(spec)
    if spec.said is not None:
        task, text = spec.said
        zones = () if task.zone is None else (task.zone,)
        return Trial(sample_scene(rng, (task.object,), zones), text, task)
    if spec.split == 'refuse':
        return _REFUSED[spec.row](rng)
    if spec.split == 'disturbed':
        scene, task = known_task(KINDS[spec.seed % len(KINDS)], rng)
        return Trial(scene, sentence(task, rng, *KNOWN), task, disturbance=spec.row)
    if spec.split == 'swap':
        return _swapped(spec, rng)
    if spec.split == 'pairs':
        name = HELD_OUT_PAIRS[int(rng.integers(len(HELD_OUT_PAIRS)))]
        scene = sample_scene(rng, required_objects=(name,))
        task = _draw(rng, [t for t in possible_tasks(scene, (spec.row,)) if t.object == name])
    else:
        scene, task = known_task(spec.row, rng)
    return Trial(scene, sentence(task, rng, *_PHRASINGS.get(spec.split, KNOWN)), task)


def _draw(rng: np.random.Generator, tasks: list[Task]) -> Task:
    return tasks[int(rng.integers(len(tasks)))]


def _known_tasks(scene: SceneSpec, kind: str) -> list[Task]:
    return [t for t in possible_tasks(scene, (kind,)) if t.object not in HELD_OUT_PAIRS]


def known_task(kind: str, rng: np.random.Generator) -> tuple[SceneSpec, Task]:
    """Return a scene and a task in it whose object was trained on."""
    while True:
        scene = sample_scene(rng)
        if tasks := _known_tasks(scene, kind):
            return scene, _draw(rng, tasks)


def _swapped(spec: Spec, rng: np.random.Generator) -> Trial:
    """Return one of two commands that differ in the object alone."""
    while True:
        scene = sample_scene(rng)
        tasks = _known_tasks(scene, spec.row)
        zone = tasks[0].zone if tasks else None
        choices = [task for task in tasks if task.zone == zone]
        if len(choices) >= 2:
            break
    task = choices[rng.permutation(len(choices))[spec.turn]]
    return Trial(scene, sentence(task, np.random.default_rng(spec.seed), *KNOWN), task)


def _silent(rng: np.random.Generator) -> Trial:
    return Trial(sample_scene(rng), _SILENCE[int(rng.integers(len(_SILENCE)))], None)


def _nonsense(rng: np.random.Generator) -> Trial:
    letters = list('abcdefghijklmnopqrstuvwxyz')
    words = [rng.choice(letters, size=rng.integers(3, 9)) for _ in range(int(rng.integers(1, 5)))]
    return Trial(sample_scene(rng), ' '.join(''.join(word) for word in words), None)


def _unrelated(rng: np.random.Generator) -> Trial:
    return Trial(sample_scene(rng), unrelated(rng, 'test'), None)


def absent_object(rng: np.random.Generator) -> Trial:
    """Ask in a known phrasing for something that is not on the table, but known."""
    scene = sample_scene(rng)
    present = {spec.name for spec in scene.objects}
    absent = [n for n in OBJECT_NAMES if n not in present and n not in HELD_OUT_PAIRS]
    like = _draw(rng, possible_tasks(scene))
    task = Task(like.kind, str(rng.choice(absent)), like.zone)
    return Trial(scene, sentence(task, rng, *KNOWN), None)


def absent_zone(rng: np.random.Generator) -> Trial:
    """Ask in a known phrasing for a zone that is not on the table, but known."""
    kind = ('push', 'put')[int(rng.integers(2))]
    scene, like = known_task(kind, rng)
    present = {spec.name for spec in scene.zones}
    zone = str(rng.choice([name for name in COLOURS if name not in present]))
    return Trial(scene, sentence(Task(kind, like.object, zone), rng, *KNOWN), None)


_REFUSED: dict[str, Callable[[np.random.Generator], Trial]] = {
    UNASKED: _silent,
    'nonsense': _nonsense,
    'unrelated': _unrelated,
    'absent object': absent_object,
    'absent zone': absent_zone,
}
