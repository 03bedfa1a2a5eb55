"""What the nodes tell on /diagnostics, for the terminal: how long it takes, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from vla_ros.bringup import COMPOSED
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.nodes.diagnostics import ERROR, OK, WARN
from vla_ros.pipeline.command import printable

#: A stage's name for the user, the node that measures it, and what that calls it.
_STAGES = (
    ('image to model', 'inference', 'frame_age'),
    ('image to chunk', 'inference', 'latency'),
    ('image to pose', 'pose', 'latency'),
    ('age of frames', 'pose', 'frame_age'),
    ('tick', 'pose', 'period'),
)

_LEVELS = {WARN: 'WARN', ERROR: 'ERROR'}
_SILENT = f'ERROR: nothing heard from it on {wiring.DIAGNOSTICS.name}: does it run?'

Values = Mapping[str, str]


class Timing:
    """
    Listens to the nodes of one namespace; what they told last is in ``values``, by node.

    A node above that serves several robots tells of each under the robot's name.
    """

    def __init__(self, user: Client) -> None:
        self.values: dict[str, Values] = {}
        self._faults: dict[str, str] = {}
        self._namespace = user.namespace.rstrip('/')
        user.watch(wiring.DIAGNOSTICS, self._on_health)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            above, slash, node = status.name.rpartition('/')
            robot = _robot(self._namespace, above)
            if not slash or robot is None:
                continue
            told = {pair.key: pair.value for pair in status.values}
            values = {k.removeprefix(robot): v for k, v in told.items() if k.startswith(robot)}
            if values:
                self.values[node] = values
                self._faults[node] = '' if status.level == OK else _fault(status)

    def is_complete(self) -> bool:
        """Return whether every node that a robot cannot do without has been heard."""
        return set(COMPOSED) <= set(self.values)

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each node that is not OK or silent, in one line."""
        faults = {**dict.fromkeys(COMPOSED, _SILENT), **self._faults}
        return {node: fault for node, fault in faults.items() if fault}


def _fault(status: DiagnosticStatus) -> str:
    """Return level and message; of a traceback the first line and the last, which say it."""
    lines = status.message.splitlines() or ['']
    told = ' '.join(dict.fromkeys((lines[0], lines[-1])))
    return f'{_LEVELS.get(status.level, "STALE")}: {printable(told, max_characters=1000)}'


def _robot(namespace: str, above: str) -> str | None:
    """Return what a node in ``above`` calls the values of the robot there; None: elsewhere."""
    if namespace == above:
        return ''
    return f'{namespace[len(above) + 1 :]}.' if namespace.startswith(f'{above}/') else None


def rows(values: Mapping[str, Values]) -> dict[str, str]:
    """Return a line for each stage that has been measured, by its name."""
    found = {}
    for title, node, name in _STAGES:
        told = values.get(node, {})
        numbers = [(p, told.get(f'{name}_p{p}_ms', 'nan')) for p in (50, 95, 99)]
        if all(number != 'nan' for _, number in numbers):
            found[title] = ', '.join(f'p{p} {float(n):.1f} ms' for p, n in numbers)
    pose, inference = values.get('pose', {}), values.get('inference', {})
    if 'tick' in found and 'late_ticks' in pose:
        found['tick'] += f', {pose["late_ticks"]} late'
    if 'dropped_frames' in inference:
        rate = f'{float(inference["frames_hz"]):.1f} Hz'
        found['frames'] = f'{rate}, {inference["dropped_frames"]} dropped'
    return found
