"""
The first command after a start beside those that follow: what is loaded is warm, or it is not.

A command costs the time from its text to its features, and from the first image that is inferred
on for it to that chunk. What it waits for the next image is no cost of the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_ros.bench.pipeline import Goal, goal_lines
from vla_ros.bench.rounds import over

#: So many commands in a round, after one start; the first is compared with the last.
COMMANDS = 10
LIMIT = 1.3
#: All different, for a text that is said again is not encoded again.
_PATTERNS = ('point at the {}', 'pick up the {}', 'touch the {}', 'grasp the {}', 'show me the {}')


def texts(objects: Sequence[str]) -> list[str]:
    """Return ``COMMANDS`` different commands about two or more objects."""
    found = [pattern.format(name) for pattern in _PATTERNS for name in sorted(objects)[:2]]
    return found[:COMMANDS]


def goals(rounds: Sequence[Sequence[float]]) -> list[Goal]:
    """Return what is promised of the first command; ``rounds`` has the costs of each, ms."""
    ratios = [costs_ms[0] / costs_ms[-1] for costs_ms in rounds]
    return [Goal('first command / tenth', LIMIT, over(ratios))]


def table(rounds: Sequence[Sequence[float]]) -> str:
    """Return the medians over the rounds, one line a command, and the goal."""
    lines = ['command  ms']
    medians = np.median(rounds, axis=0)
    lines += [f'{number:>7}  {value:.1f}' for number, value in enumerate(medians, start=1)]
    return '\n'.join([*lines, *goal_lines(goals(rounds))])
