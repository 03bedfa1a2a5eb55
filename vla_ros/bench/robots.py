"""
Several robots on one policy: one pass for all of them beside a call for each.

What is timed is what the inference node does with them (``TorchPolicy.infer_all``), from their
observations to their chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
import time

import numpy as np

from vla_ros.bench.rounds import Ratio, ratio
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.models.contract import example_inputs
from vla_ros.pipeline.manifest import PolicyManifest
from vla_ros.pipeline.policy import TorchPolicy

_TOGETHER, _EACH = 'together', 'each'


@dataclass(frozen=True)
class Growth:
    """So many robots served once: medians over all calls, ms; ``gain`` is the second by first."""

    robots: int
    together_ms: float
    each_ms: float
    gain: Ratio

    @property
    def rate_hz(self) -> float:
        """Return how many robots are served a second, together."""
        return self.robots * 1e3 / self.together_ms


def observations(manifest: PolicyManifest, robots: int) -> list[Observation]:
    """Return what so many robots see and are told: noise, each its own, the same at every call."""
    image, text, mask, state = (value.numpy() for value in example_inputs(manifest, robots))
    return [
        Observation(
            stamp_ns=0,
            images=image[i].transpose(0, 2, 3, 1),
            state=state[i],
            command=EncodedCommand('', 1, text[i, mask[i]]),
        )
        for i in range(robots)
    ]


def measure(
    policy: TorchPolicy,
    counts: Sequence[int],
    rounds: int,
    calls: int,
    on_round: Callable[[], None] = lambda: None,
) -> list[Growth]:
    """Return how long each number of robots takes; ``on_round`` is called before each round."""
    seen = {count: observations(policy.manifest, count) for count in counts}
    taken: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    for _ in range(rounds):
        on_round()
        for count in counts:
            together, each = _time(policy, seen[count], calls)
            taken[count].append({_TOGETHER: together, _EACH: each})
    return [
        Growth(
            robots=count,
            together_ms=float(np.median([r[_TOGETHER] for r in taken[count]])),
            each_ms=float(np.median([r[_EACH] for r in taken[count]])),
            gain=ratio(taken[count], _EACH, _TOGETHER),
        )
        for count in counts
    ]


def _time(policy: TorchPolicy, seen: Sequence[Observation], calls: int) -> tuple[float, float]:
    """Return the medians of one pass and of a call for each, in turns, ms."""
    together_s, each_s = [], []
    policy.infer_all(seen)  # a new batch size may cost more at first
    for _ in range(calls):
        started_s = time.perf_counter()
        policy.infer_all(seen)
        between_s = time.perf_counter()
        for observation in seen:
            policy.infer(observation)
        together_s.append(between_s - started_s)
        each_s.append(time.perf_counter() - between_s)
    return float(np.median(together_s)) * 1e3, float(np.median(each_s)) * 1e3


def table(growths: Sequence[Growth]) -> str:
    """Return a plain text table, one line a number of robots."""
    lines = ['robots  one pass ms  a call each ms  served a second  gain']
    lines += [
        f'{g.robots:>6}  {g.together_ms:>11.2f}  {g.each_ms:>14.2f}  {g.rate_hz:>15.0f}  {g.gain}'
        for g in growths
    ]
    return '\n'.join(lines)


def draw(growths: Sequence[Growth], picture_path: Path) -> None:
    """Draw how many robots are served a second, together and one by one, over their number."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    robots = [g.robots for g in growths]
    figure, axis = pyplot.subplots(figsize=(5.6, 3.4), layout='constrained')
    axis.plot(robots, [g.rate_hz for g in growths], 'o-', label='one pass for all')
    axis.plot(robots, [g.robots * 1e3 / g.each_ms for g in growths], 'o-', label='a call for each')
    axis.set_xscale('log', base=2)
    axis.set_xticks(robots, [str(count) for count in robots])
    axis.set_ylim(bottom=0.0)
    axis.set_xlabel('robots')
    axis.set_ylabel('chunks a second')
    axis.legend()
    axis.grid(alpha=0.3)
    picture_path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture_path, dpi=110)
    pyplot.close(figure)
