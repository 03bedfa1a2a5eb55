"""A recording as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from pathlib import Path

import cv2
import numpy as np

from vla_ros.bag.charts import Bar, bars, histogram, Line, lines, speeds
from vla_ros.bag.reader import pictures, read, Recording, Seen, Told
from vla_ros.pipeline import attention as looks
from vla_ros.pipeline.look import look_at
from vla_ros.pipeline.reason import Reason

PICTURES_A_COMMAND = 4
PICTURE_SIDE_PX = 240

_STATES = ('idle', 'running', 'succeeded', 'holding', 'estopped')
_AXES = ('x', 'y', 'z')
_STYLE = """
body { margin: 0 auto; max-width: 1060px; padding: 24px; color: #1c2430; background: #fff;
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; } h2 { font-size: 17px; margin: 30px 0 8px; }
p { margin: 4px 0; } small, .soft { color: #5b6675; }
table { border-collapse: collapse; width: 100%; }
td:first-child, td:nth-child(4) { white-space: nowrap; }
td, th { padding: 5px 10px 5px 0; border-bottom: 1px solid #dde2e8; text-align: left; }
svg { width: 100%; display: block; margin: 6px 0; } svg text { font-size: 12px; fill: #5b6675; }
svg line { stroke: #b4bcc6; } svg path { fill: none; stroke-width: 1.5; }
rect.idle { fill: #e7ebef; } rect.running { fill: #bcd4f7; } rect.succeeded { fill: #bfe5cd; }
rect.holding { fill: #f6dfb5; } rect.estopped { fill: #f3bcbc; } rect.count { fill: #7ba3e0; }
path.target { stroke: #2461c4; } path.measured { stroke: #1c2430; stroke-dasharray: 2 3; }
line.limit { stroke: #c6282d; stroke-dasharray: 6 5; }
.strip { display: flex; flex-wrap: wrap; gap: 12px; } figure { margin: 0; width: 240px; }
figure img { width: 240px; border-radius: 6px; display: block; } figcaption { font-size: 13px; }
@media print { h2, figure { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Task:
    """One command until the next one; it ran until ``ran_s``, and ``last`` is its outcome."""

    command: str
    start_s: float
    ran_s: float
    end_s: float
    last: Told


def write_report(folder: Path, out: Path, namespace: str = '') -> None:
    """Make the page of a bag; raises ConfigurationError if it is none of this graph."""
    recording = read(folder, namespace)
    tasks = tasks_of(recording)
    chosen = [stamp for task in tasks for stamp in _chosen_looks(recording, task)]
    seen = pictures(folder, recording, chosen, namespace)
    out.write_text(page(folder.name, recording, tasks, seen), encoding='utf-8')


def tasks_of(recording: Recording) -> list[Task]:
    """Return the commands in order; what was told before the first one is of none."""
    by_stamp: dict[str, list[Told]] = {}
    for told in recording.told:
        stamp = told.values.get('command_stamp_ns', '0')
        if stamp.strip('0') and told.values.get('command'):
            by_stamp.setdefault(stamp, []).append(told)
    ends_s = [told[0].time_s for told in by_stamp.values()][1:] + [recording.duration_s]
    return [_task(told, end_s) for told, end_s in zip(by_stamp.values(), ends_s, strict=False)]


def _task(told: Sequence[Told], end_s: float) -> Task:
    ended = (t.time_s for t in told if t.values.get('state') in ('succeeded', 'estopped'))
    first = told[0]
    return Task(first.values['command'], first.time_s, next(ended, end_s), end_s, told[-1])


def page(name: str, recording: Recording, tasks: Sequence[Task], seen: Sequence[Seen]) -> str:
    """Return the whole page."""
    begun = datetime.fromtimestamp(recording.start_ns / 1e9, timezone.utc)
    duration_s = max(recording.duration_s, 1e-3)
    messages = sum(recording.counts.values())
    sections = [
        f'<h1>{escape(name)}</h1><p class="soft">{begun:%Y-%m-%d %H:%M:%S} UTC, '
        f'{duration_s:.1f} s, {messages} messages on {len(recording.counts)} topics</p>',
        '<h2>Commands and states</h2>',
        bars(_state_bars(recording.told, duration_s), duration_s),
        _task_table(tasks),
        *_motion(recording, duration_s),
        '<h2>What the policy looked at</h2>',
        *(_gallery(task, seen) for task in tasks),
        '<h2>Latency, from the image to the chunk that came of it</h2>',
        histogram(np.array(recording.inference_s) * 1e3, 'ms'),
        '<p class="soft">By the clock of the recorder and the stamp of the image; the last bar '
        'has all that took longer.</p>',
        '<h2>Messages</h2>',
        _counts_table(recording),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<title>{escape(name)}</title><style>{_STYLE}</style></head>\n<body>\n'
        + '\n'.join(sections)
        + '\n</body></html>\n'
    )


def _state_bars(told: Sequence[Told], duration_s: float) -> Iterator[Bar]:
    """Yield a bar for each time that state, reason and command stayed the same."""
    changes = [
        now
        for before, now in zip([None, *told], told, strict=False)
        if before is None or _key(before) != _key(now)
    ]
    ends = [change.time_s for change in changes[1:]] + [duration_s]
    for change, end_s in zip(changes, ends, strict=True):
        state, reason, command, _ = _key(change)
        css = state if state in _STATES else 'idle'
        title = f'{change.time_s:.1f} s, {state}: {_doc(reason)} ({command or "no command"})'
        shown = command if state == 'running' else reason.replace('_', ' ')
        yield Bar(change.time_s, end_s, shown, css, title)


def _key(told: Told) -> tuple[str, ...]:
    names = ('state', 'reason', 'command', 'command_stamp_ns')
    return tuple(told.values.get(name, '') for name in names)


def _doc(reason: str) -> str:
    # A bag of another version may know other reasons.
    return next((known.doc for known in Reason if known.value == reason), reason)


def _task_table(tasks: Sequence[Task]) -> str:
    rows = []
    for task in tasks:
        values = task.last.values
        reason = values.get('reason', '')
        latency = ', '.join(
            f'p{p} {values[f"latency_p{p}_ms"]}'
            for p in (50, 95, 99)
            if values.get(f'latency_p{p}_ms', 'nan') != 'nan'
        )
        cells = (
            f'{task.start_s:.1f} s',
            task.command,
            values.get('state', '') + ('' if reason == 'ok' else f': {_doc(reason)}'),
            f'{float(values.get("path_length_m", "nan")):.2f} m',
            f'{latency} ms' if latency else '',
        )
        rows.append(''.join(f'<td>{escape(cell)}</td>' for cell in cells))
    return _table(('at', 'command', 'outcome', 'path', 'image to pose'), rows)


def _motion(recording: Recording, duration_s: float) -> Iterator[str]:
    yield '<h2>Pose sent (blue) and measured (dotted), with the workspace (red)</h2>'
    times, stamps, target = recording.target.arrays()
    measured_times, _, measured = recording.measured.arrays()
    box = _workspace(recording)
    for i, axis in enumerate(_AXES):
        drawn = [
            Line(measured_times, measured[:, i], 'measured'),
            Line(times, target[:, i], 'target'),
        ]
        yield f'<p class="soft">{axis}</p>' + lines(drawn, duration_s, 'm', [c[i] for c in box])
    yield '<p class="soft">speed of the pose sent, mean of five</p>' + lines(
        [Line(times, speeds(stamps, target), 'target')], duration_s, 'm/s', least=0.0
    )


def _workspace(recording: Recording) -> list[list[float]]:
    values = recording.told[-1].values if recording.told else {}
    corners = [values.get(f'workspace_{end}', '').split() for end in ('min', 'max')]
    return [[float(v) for v in corner] for corner in corners if len(corner) == 3]


def _chosen_looks(recording: Recording, task: Task) -> list[int]:
    """Return image stamps spread evenly over the time in which the task ran."""
    stamps = [ns for time_s, ns in recording.looks if task.start_s <= time_s < task.ran_s]
    places = np.linspace(0, len(stamps) - 1, min(len(stamps), PICTURES_A_COMMAND))
    return [stamps[round(place)] for place in places.tolist()]


def _gallery(task: Task, seen: Sequence[Seen]) -> str:
    figures = [_figure(s, task) for s in seen if task.start_s <= s.time_s < task.end_s]
    shown = ''.join(figures) or '<p class="soft">no attention was recorded</p>'
    return f'<p><b>{escape(task.command)}</b></p><div class="strip">{shown}</div>'


def _figure(seen: Seen, task: Task) -> str:
    look = look_at(seen.attention, seen.pieces)
    picture = looks.overlay(seen.image, look.weights, PICTURE_SIDE_PX)
    _, data = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    order = np.argsort(-look.shares)[:3].tolist()
    words = ', '.join(f'{look.words[i].text} {look.shares[i]:.0%}' for i in order)
    return (
        '<figure><img alt="camera picture with attention" src="data:image/jpeg;base64,'
        f'{base64.b64encode(data.tobytes()).decode()}"><figcaption>'
        f'+{seen.time_s - task.start_s:.1f} s, spread {look.spread:.2f}'
        f'{" (diffuse)" if look.is_diffuse else ""}<br><small>{escape(words)}</small>'
        '</figcaption></figure>'
    )


def _counts_table(recording: Recording) -> str:
    seconds = max(recording.duration_s, 1e-3)
    rows = [
        f'<td>{escape(topic)}</td><td>{count}</td><td>{count / seconds:.1f} Hz</td>'
        for topic, count in sorted(recording.counts.items())
    ]
    return _table(('topic', 'messages', 'rate'), rows)


def _table(header: Sequence[str], rows: Sequence[str]) -> str:
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in header)
    body = ''.join(f'<tr>{row}</tr>' for row in rows)
    return f'<table><tr>{head}</tr>{body}</table>'
