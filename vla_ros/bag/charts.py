"""Charts as SVG text, for a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from vla_ros.geometry import Array

WIDTH, HEIGHT = 1000, 170
_LEFT, _BOTTOM, _TOP = 52, 22, 10
#: A line needs no more points than there are pixels to draw them on.
MAX_POINTS = 1000


@dataclass(frozen=True)
class Bar:
    """A span of time with a name and a CSS class; ``title`` is shown on pointing at it."""

    start_s: float
    end_s: float
    name: str
    css: str
    title: str


@dataclass(frozen=True, eq=False)
class Line:
    """Values over time; NaN breaks the line."""

    times_s: ArrayLike
    values: ArrayLike
    css: str


def bars(spans: Iterable[Bar], duration_s: float) -> str:
    """Return spans of time in one row."""
    parts = []
    for span in spans:
        x, width = _x(span.start_s, duration_s), _x(span.end_s, duration_s)
        width = max(width - x, 1.0)
        # About seven pixels a character.
        name = span.name if 7 * len(span.name) < width else ''
        parts.append(
            f'<g><title>{escape(span.title)}</title>'
            f'<rect x="{x:.1f}" y="10" width="{width:.1f}" height="30" class="{span.css}"/>'
            f'<text x="{x + 5:.1f}" y="30">{escape(name)}</text></g>'
        )
    return _svg(62, ''.join(parts) + _time_axis(40, duration_s))


def lines(
    drawn: Sequence[Line],
    duration_s: float,
    unit: str,
    limits: Sequence[float] = (),
    least: float | None = None,
) -> str:
    """
    Return values of one line or more over time, with ``limits`` as dashed lines.

    The scale holds all values and limits, and ``least`` if given.
    """
    values = np.concatenate([np.asarray(line.values, dtype=float) for line in drawn])
    known = np.concatenate([values[np.isfinite(values)], limits, [] if least is None else [least]])
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    low, high = low - margin, high + margin

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _BOTTOM - _TOP)

    parts = [
        f'<line x1="{_LEFT}" x2="{WIDTH}" y1="{y(v):.1f}" y2="{y(v):.1f}" class="limit"/>'
        for v in limits
    ]
    for value in (low + margin, high - margin):
        parts.append(f'<text x="0" y="{y(value) + 4:.1f}">{value:.2f} {escape(unit)}</text>')
    parts += [_polyline(line, duration_s, y) for line in drawn]
    return _svg(HEIGHT, ''.join(parts) + _time_axis(HEIGHT - _BOTTOM, duration_s))


def histogram(values: ArrayLike, unit: str, bins: int = 40) -> str:
    """Return how often each range of values occurs; the rarest 1 % above may end in the last."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return '<p>nothing was measured</p>'
    top = max(float(np.percentile(known, 99)), 1e-9)
    counts, edges = np.histogram(np.clip(known, 0.0, top), bins=bins, range=(0.0, top))
    step = (WIDTH - _LEFT) / bins
    foot = HEIGHT - _BOTTOM
    parts = []
    for i, count in enumerate(counts.tolist()):
        height = (foot - _TOP) * count / counts.max()
        parts.append(
            f'<rect x="{_LEFT + i * step + 1:.1f}" y="{foot - height:.1f}" class="count" '
            f'width="{step - 2:.1f}" height="{height:.1f}"><title>{edges[i]:.0f} to '
            f'{edges[i + 1]:.0f} {escape(unit)}: {count}</title></rect>'
        )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + share * (WIDTH - _LEFT)
        anchor = 'end' if share == 1.0 else 'middle'
        parts.append(
            f'<text x="{x:.0f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{share * top:.0f} '
            f'{escape(unit)}</text>'
        )
    return _svg(HEIGHT, ''.join(parts))


def _polyline(line: Line, duration_s: float, y: Callable[[float], float]) -> str:
    times, values = np.asarray(line.times_s, dtype=float), np.asarray(line.values, dtype=float)
    keep = slice(None, None, max(1, -(-len(times) // MAX_POINTS)))
    parts, pen = [], 'M'
    for time_s, value in zip(times[keep].tolist(), values[keep].tolist(), strict=True):
        if not np.isfinite(value):
            pen = 'M'
            continue
        parts.append(f'{pen}{_x(time_s, duration_s):.1f},{y(value):.1f}')
        pen = 'L'
    return f'<path d="{"".join(parts)}" class="{line.css}"/>' if parts else ''


def _x(time_s: float, duration_s: float) -> float:
    return _LEFT + min(max(time_s / duration_s, 0.0), 1.0) * (WIDTH - _LEFT)


def _time_axis(y: float, duration_s: float) -> str:
    step = next(s for s in (1, 2, 5, 10, 30, 60, 300, 600, 3600, 1e9) if duration_s / s <= 15)
    marks = np.arange(0.0, duration_s + 1e-9, step)
    return ''.join(
        f'<line x1="{_x(t, duration_s):.1f}" x2="{_x(t, duration_s):.1f}" y1="{y}" y2="{y + 4}"/>'
        f'<text x="{_x(t, duration_s):.1f}" y="{y + 17}" text-anchor="middle">{t:.0f} s</text>'
        for t in marks[: -1 if len(marks) > 1 and duration_s - marks[-1] < 0.3 * step else None]
    )


def _svg(height: float, content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{content}</svg>'


def speeds(times_s: Array, positions: Array) -> Array:
    """Return the speed (n,) between successive positions (n, 3), NaN across gaps over 0.5 s."""
    if len(times_s) < 2:
        return np.full(len(times_s), np.nan)
    steps = np.maximum(np.diff(times_s), 1e-6)
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) / steps
    # Messages may arrive in bursts: the mean over five ticks is what the robot did.
    smooth = np.convolve(speed, np.ones(5) / 5.0, mode='same') if len(speed) >= 5 else speed
    return np.concatenate([[np.nan], np.where(steps > 0.5, np.nan, smooth)])
