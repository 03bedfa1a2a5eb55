"""Promises, what a trial of one yields, and the file and table of the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import json
from pathlib import Path
import time
import traceback

import numpy as np

#: Kept of the violations of a promise.
MAX_EXAMPLES = 5


@dataclass
class Tally:
    """What one promise's trials have shown so far; ``worst`` is to be compared with ``limit``."""

    rng: np.random.Generator
    folder: Path
    seed: int = 0
    tried: int = 0
    violations: int = 0
    worst: float = 0.0
    limit: float | None = None
    unit: str = ''
    values: list[float] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)

    def violate(self, text: str, count: int = 1) -> None:
        self.violations += count
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(text)

    def expect(self, holds: bool, text: str) -> None:
        """Count a trial."""
        self.tried += 1
        if not holds:
            self.violate(text)

    def add(self, value: float) -> None:
        """Add a measured value, which may not exceed ``limit``."""
        self.values.append(value)
        self.worst = max(self.worst, value)
        if self.limit is not None and not value <= self.limit:
            self.violate(f'{value:.4g} {self.unit} is more than {self.limit:g}')

    def take(self, oracle) -> None:
        """Add what an oracle has seen."""
        self.worst = max(self.worst, oracle.worst)
        for text in oracle.violations:
            self.violate(text)

    def need_both(self, passed: int, refused: int) -> None:
        """A trial in which nothing passes, or everything does, shows nothing."""
        self.notes |= {'passed': passed, 'refused': refused}
        if min(passed, refused) < 0.1 * (passed + refused):
            self.violate(f'vacuous: {passed} passed, {refused} were refused')


@dataclass(frozen=True)
class Promise:
    """
    One promise and how it is tried.

    ``sizes`` are the numbers of trials in the fast and the full tier. ``needs`` is '' for plain
    computing, 'ros' where nodes take part, 'ros untimed' where no time of theirs is judged.
    """

    id: str
    text: str
    run: Callable[[Tally, int], None]
    sizes: tuple[int, int]
    needs: str = ''


PROMISES: dict[str, Promise] = {}


def promise(id: str, text: str, fast: int, full: int, needs: str = ''):
    """Register a function ``run(tally, size)`` as the trial of a promise."""

    def register(run: Callable[[Tally, int], None]) -> Callable[[Tally, int], None]:
        PROMISES[id] = Promise(id, text, run, (fast, full), needs)
        return run

    return register


def keep(promise: Promise, size: int, seed: int, folder: Path) -> dict[str, object]:
    """Try a promise; return its line of the ledger."""
    tally = Tally(np.random.default_rng([seed, *promise.id.encode()]), folder, seed)
    started_s = time.monotonic()
    try:
        promise.run(tally, size)
    except Exception as error:  # what is tried must not throw either
        tally.violate(f'{type(error).__name__}: {error}; {traceback.format_exc(limit=-3)}')
    values = tally.values or [tally.worst]
    p50, p99 = (float(v) for v in np.percentile(values, (50, 99)))
    return {
        'id': promise.id,
        'tried': tally.tried,
        'violations': tally.violations,
        'worst': round(tally.worst, 6),
        'limit': tally.limit,
        'p50': round(p50, 6),
        'p99': round(p99, 6),
        'max': round(max(values), 6),
        'unit': tally.unit,
        'seed': seed,
        'seconds': round(time.monotonic() - started_s, 2),
        'size': size,
        'promise': promise.text,
        'examples': tally.examples,
        'notes': tally.notes,
    }


def read(path: Path) -> list[dict[str, object]]:
    """Return the lines of a ledger; what a killed run left torn is dropped."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def table(lines: list[dict[str, object]]) -> str:
    """Return the results for a reader."""
    rows = [('', 'promise', 'tried', 'violations', 'worst', 'limit', 'p50', 'p99', 's')]
    for line in lines:
        mark = 'FAIL' if line['violations'] else 'ok'
        rows.append(
            (
                f'{line["id"]} {mark}',
                str(line['promise']),
                f'{line["tried"]:,}',
                str(line['violations']),
                f'{line["worst"]:.4g} {line["unit"]}'.strip(),
                '' if line['limit'] is None else f'{line["limit"]:g}',
                f'{line["p50"]:.4g}',
                f'{line["p99"]:.4g}',
                f'{line["seconds"]:.0f}',
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            cell.ljust(w) if i < 2 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
