"""
Ratios from rounds: on a busy machine only what ran in the same minute can be compared.

Everything that is compared runs once in every round. A ratio is taken within each round, and the
median over the rounds is told with the least and the largest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
import os
import platform
import time

import numpy as np

#: Rounds in which the same work took so many times longer than in others say nothing.
TOO_NOISY = 2.0
_WORK = 200_000


@dataclass(frozen=True)
class Ratio:
    """The median over the rounds, and the least and the largest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]'


def over(values: Sequence[float]) -> Ratio:
    """Return the median of what was measured in each round."""
    return Ratio(float(np.median(values)), min(values), max(values))


def ratio(rounds: Sequence[Mapping[str, float]], name: str, reference: str) -> Ratio:
    """
    Return what ``name`` takes of what ``reference`` takes, over the rounds.

    Infinite where a reference takes nothing, which measurement error can make of very little.
    """
    return over([r[name] / r[reference] if r[reference] > 0.0 else math.inf for r in rounds])


def probe_s() -> float:
    """Return how long a fixed piece of work takes now."""
    started_s = time.perf_counter()
    sum(range(_WORK))
    return time.perf_counter() - started_s


def noise(probes_s: Sequence[float]) -> float:
    """Return how many times longer the slowest probe took than the fastest."""
    return max(probes_s) / min(probes_s)


def verdict(noise_ratio: float) -> str:
    """Return '' or a warning that the figures cannot be used."""
    if noise_ratio <= TOO_NOISY:
        return ''
    return (
        f'too noisy: the same work took up to {noise_ratio:.1f} times as long; these figures say '
        'nothing, measure again on a quiet machine'
    )


def host() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        'machine': platform.machine(),
        'cores': os.cpu_count(),
        'load': os.getloadavg()[0],
        'python': platform.python_version(),
    }
