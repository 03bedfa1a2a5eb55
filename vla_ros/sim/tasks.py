"""
The four tasks and when each has succeeded, judged on ground truth alone.

=====  ======================================================================
point  the gripper is above the object: within 2.5 cm beside, 5 to 12 cm high
pick   the object is held, its centre more than 10 cm above the table
push   the object lies flat with its centre in the zone, not held
put    the object lies in the zone, released, and the gripper is up again
=====  ======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.errors import ConfigurationError
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import COLOURS, SceneSpec, split_name, ZONE_RADIUS_M

KINDS = ('point', 'pick', 'push', 'put')
#: Simulated time within which a task must succeed.
TIME_LIMIT_S = {'point': 8.0, 'pick': 12.0, 'push': 20.0, 'put': 20.0}

_POINT_RADIUS_M = 0.025
_POINT_HEIGHT_M = (0.05, 0.12)
_LIFTED_M = 0.10
_FLAT_M = 0.05
_RETREAT_M = 0.08
_OPEN_CLOSING = 0.35


@dataclass(frozen=True)
class Task:
    """What to do with which object, and where to: ``zone`` only for push and put."""

    kind: str
    object: str
    zone: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f'unknown task {self.kind!r}; valid: {", ".join(KINDS)}')
        split_name(self.object)
        if (self.zone is not None) != (self.kind in ('push', 'put')):
            raise ConfigurationError(f'{self.kind}: push and put, and only they, name a zone')
        if self.zone is not None and self.zone not in COLOURS:
            raise ConfigurationError(f'unknown zone {self.zone!r}; valid: {", ".join(COLOURS)}')

    @property
    def key(self) -> str:
        """Return the name used in reports: ``put|red block|green``."""
        return f'{self.kind}|{self.object}|{self.zone or ""}'


def possible_tasks(scene: SceneSpec, kinds: tuple[str, ...] = KINDS) -> list[Task]:
    """Return every task that can be asked for in a scene."""
    tasks = []
    for kind in kinds:
        for spec in scene.objects:
            if kind in ('push', 'put'):
                tasks += [Task(kind, spec.name, zone.name) for zone in scene.zones]
            else:
                tasks.append(Task(kind, spec.name))
    return tasks


def in_zone(env: TabletopEnv, name: str, zone: str) -> bool:
    """Say whether the object's centre lies over the zone, near the table."""
    x, y, z = env.object_position(name)
    spec = env.scene.zone(zone)
    return bool(z < _FLAT_M and np.hypot(x - spec.x, y - spec.y) < ZONE_RADIUS_M)


def succeeded(env: TabletopEnv, task: Task) -> bool:
    """Say whether the task's goal holds in this very state."""
    gripper = env.end_effector.position
    position = env.object_position(task.object)
    if task.kind == 'point':
        beside = np.hypot(*(gripper - position)[:2])
        low, high = _POINT_HEIGHT_M
        return bool(beside < _POINT_RADIUS_M and low < gripper[2] < high and position[2] < _FLAT_M)
    if task.kind == 'pick':
        return bool(position[2] > _LIFTED_M and env.is_held(task.object))
    assert task.zone is not None
    if not in_zone(env, task.object, task.zone) or env.is_held(task.object):
        return False
    if task.kind == 'push':
        return True
    return bool(gripper[2] > _RETREAT_M and env.gripper_closing < _OPEN_CLOSING)
