"""How long everything takes on its way, as the nodes tell it on diagnostics: for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray

from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client

#: A stage's name for the user, the node that measures it, and what that calls it.
_STAGES = (
    ('image to model', 'inference', 'frame_age'),
    ('image to chunk', 'inference', 'latency'),
    ('image to pose', 'pose', 'latency'),
    ('age of frames', 'pose', 'frame_age'),
    ('tick', 'pose', 'period'),
)

Values = Mapping[str, str]


class Timing:
    """
    Listens to the nodes of one namespace; what they told last is in ``values``, by node.

    A node above that serves several robots tells of each under the robot's name.
    """

    def __init__(self, user: Client) -> None:
        self.values: dict[str, Values] = {}
        for namespace, robot in _splits(user.namespace):
            topic = replace(wiring.DIAGNOSTICS, name=f'{namespace}{wiring.DIAGNOSTICS.name}')
            user.watch(topic, partial(self._on_health, namespace, robot))

    def _on_health(self, namespace: str, robot: str, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {
                pair.key.removeprefix(robot): pair.value
                for pair in status.values
                if pair.key.startswith(robot)
            }
            if values:
                self.values[status.name.removeprefix(namespace)] = values

    def is_complete(self) -> bool:
        """Return whether all that is told here has been heard."""
        return {'inference', 'pose'} <= set(self.values)


def _splits(namespace: str) -> Iterator[tuple[str, str]]:
    """Yield a namespace and those above it, with what each calls the values of a robot there."""
    names = namespace.strip('/').split('/') if namespace.strip('/') else []
    for count in range(len(names), -1, -1):
        above, below = names[:count], names[count:]
        yield '/'.join(['', *above, '']), f'{"/".join(below)}.' if below else ''


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
