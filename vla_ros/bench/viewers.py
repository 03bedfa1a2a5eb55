"""
What it costs to look on: markers and picture as RViz shows them, and the live page.

Nobody who looks may make the robot slower: its chunks come as soon, its poses tick as evenly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os

import numpy as np

from vla_ros.bench.pipeline import (
    Goal,
    goal_lines,
    Load,
    NAMESPACE,
    pipeline,
    robot_of,
    Sample,
    Script,
    scripts,
    Subject,
)
from vla_ros.bench.rounds import over, ratio
from vla_ros.bringup import environment

NOBODY, RVIZ, PAGE = 'nobody', 'as RViz', '5 browsers'
BROWSERS = 5


def subjects(load: Load) -> dict[str, Subject]:
    """Return the pipeline alone and with viewers; raises ConfigurationError without scripts."""
    robot, settings = robot_of(load), {**environment('sim', os.environ), **scripts()}
    onlooker = Script('onlooker', 'onlooker', namespace=NAMESPACE)
    page = Script(
        'page',
        'live_page',
        namespace=NAMESPACE,
        arguments=('--namespace', NAMESPACE, '--browsers', str(BROWSERS)),
    )
    return {
        NOBODY: Subject((*pipeline(), robot), settings),
        RVIZ: Subject((*pipeline(markers=True), onlooker, robot), settings),
        PAGE: Subject((*pipeline(), page, robot), settings),
    }


def core_share(sample: Sample, rate_hz: float) -> float:
    """Return the share of one core, in percent."""
    return sample.cpu_ms * rate_hz / 10.0


def goals(rounds: Sequence[Mapping[str, Sample]], rate_hz: float) -> list[Goal]:
    """Return what is promised to those who look on, and to those who do not."""
    latency = [{name: sample.pose_ms for name, sample in r.items()} for r in rounds]
    period = [{name: sample.period_p99_ms for name, sample in r.items()} for r in rounds]
    more = [core_share(r[RVIZ], rate_hz) - core_share(r[NOBODY], rate_hz) for r in rounds]
    return [
        Goal('picture to pose, as RViz / nobody', 1.05, ratio(latency, RVIZ, NOBODY)),
        Goal('more of one core, %, as RViz', 15.0, over(more)),
        Goal('p99 of the tick, 5 browsers / nobody', 1.05, ratio(period, PAGE, NOBODY)),
    ]


def table(rounds: Sequence[Mapping[str, Sample]], rate_hz: float) -> str:
    """Return the medians over the rounds, one line a subject, and the goals."""
    lines = ['who looks      to chunk ms  to pose ms  delivered  of a core, %  tick p99 ms']
    for name in rounds[0]:
        to_chunk, to_pose, delivered, share, period = (
            np.median([value(r[name]) for r in rounds])
            for value in (
                lambda s: s.latency_ms,
                lambda s: s.pose_ms,
                lambda s: s.delivered,
                lambda s: core_share(s, rate_hz),
                lambda s: s.period_p99_ms,
            )
        )
        lines.append(
            f'{name:<13}  {to_chunk:>11.2f}  {to_pose:>10.2f}  {delivered:>9.3f}  {share:>12.1f}  '
            f'{period:>11.1f}'
        )
    return '\n'.join([*lines, *goal_lines(goals(rounds, rate_hz))])
