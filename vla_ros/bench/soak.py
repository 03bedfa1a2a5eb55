"""What a graph takes as time goes on: memory, file descriptors and threads of its processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
import re

import numpy as np

_NODE = re.compile(rb'vla_ros\.nodes\.(\w+?)_node\0')
_SHARED = Path('/dev/shm')
#: Samples before this share of the time do not count: caches fill, allocators find their size.
_SETTLED = 0.2
#: Memory may seem to grow by so much between the first and the last third of what counts.
TOLERANCE = 0.03


@dataclass(frozen=True)
class Usage:
    """
    What the nodes take that are children of this process, by name.

    Resident memory in MB, open descriptors, and the shared memory of the machine in MB.
    """

    at_s: float
    rss_mb: Mapping[str, float]
    descriptors: Mapping[str, int]
    shared_mb: float


def usage(at_s: float) -> Usage:
    """Return what is taken now; a node that is just ending is left out."""
    rss_mb, descriptors = {}, {}
    page_mb = os.sysconf('SC_PAGE_SIZE') / 1e6
    for folder in Path('/proc').glob('[0-9]*'):
        with suppress(OSError):
            # The name of a program, in brackets, may hold anything; the rest are numbers.
            parent = (folder / 'stat').read_text().rpartition(')')[2].split()[1]
            node = _NODE.search((folder / 'cmdline').read_bytes())
            if int(parent) == os.getpid() and node:
                name = node.group(1).decode()
                resident = int((folder / 'statm').read_text().split()[1])
                descriptors[name] = len(list((folder / 'fd').iterdir()))
                rss_mb[name] = resident * page_mb
    return Usage(at_s, rss_mb, descriptors, _size_mb(_SHARED))


def _size_mb(folder: Path) -> float:
    """Return what the files of a folder take, MB."""
    blocks = 0
    for path in folder.glob('*'):
        with suppress(OSError):
            blocks += path.stat().st_blocks
    return blocks * 512 / 1e6


@dataclass(frozen=True)
class Trend:
    """One quantity over time: the medians of the first and the last third of what counts."""

    name: str
    first: float
    last: float

    @property
    def grows(self) -> bool:
        return self.last > self.first * (1.0 + TOLERANCE)


def trends(samples: Sequence[Usage]) -> list[Trend]:
    """Return how each quantity went; of nodes that were there all the time."""
    settled = samples[int(len(samples) * _SETTLED) :]
    third = max(1, len(settled) // 3)

    def trend(name: str, values: Sequence[float]) -> Trend:
        return Trend(name, float(np.median(values[:third])), float(np.median(values[-third:])))

    names = set.intersection(*(set(sample.rss_mb) for sample in settled))
    found = [trend('shared memory, MB', [s.shared_mb for s in settled])]
    for name in sorted(names):
        found.append(trend(f'{name}, MB', [s.rss_mb[name] for s in settled]))
        found.append(trend(f'{name}, descriptors', [s.descriptors[name] for s in settled]))
    return found


def table(samples: Sequence[Usage]) -> str:
    """Return a plain text table, one line a quantity; those that grow are marked."""
    lines = ['                           first third  last third']
    lines += [
        f'{t.name:<25}  {t.first:>11.1f}  {t.last:>10.1f}{"  grows" if t.grows else ""}'
        for t in trends(samples)
    ]
    return '\n'.join(lines)
