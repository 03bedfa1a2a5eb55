"""
A scripted expert without memory: the next waypoint follows from the current state alone.

Because nothing is remembered, its advice is valid in every state that a policy may get itself
into, so the same function labels demonstrations, disturbed ones and corrections (DAgger, Ross et
al. 2011).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vla_ros.geometry import Array, Pose, quaternion_from_axis_angle, quaternion_multiply
from vla_ros.sim.environment import GRIPPER_DOWN, TabletopEnv, WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.scene import OBJECT_RADIUS_M
from vla_ros.sim.tasks import in_zone, succeeded, Task

HOVER_M = 0.10
GRASP_M = 0.022
CARRY_M = 0.13
PLACE_M = 0.028
LIFT_M = 0.16
POINT_M = 0.085
PUSH_M = 0.022
RETREAT_M = 0.11

_BEHIND_M = OBJECT_RADIUS_M + 0.032  # from the object's centre to the gripper that pushes it
_PUSHED_M = 0.048  # so near to the middle of the zone is in it
_ROOM_M = 0.042  # from the gripper that pushes to the centre of anything else
#: Where something else stands behind the object, it is pushed from as little aside as needed.
_ASIDE_RAD = (0.0, 0.35, -0.35, 0.7, -0.7, 1.05, -1.05)
_OPEN, _CLOSED = 0.0, 1.0


@dataclass(frozen=True, eq=False)
class Waypoint:
    """
    Where to move next, in a straight line: ``position`` (3,) m and ``yaw_rad`` of the gripper.

    ``gripper`` is 0 (open) or 1 (closed); ``done`` says that the task is fulfilled.
    """

    position: Array
    yaw_rad: float
    gripper: float
    done: bool = False

    @property
    def pose(self) -> Pose:
        return Pose(self.position, gripper_down(self.yaw_rad))


def gripper_down(yaw_rad: float) -> Array:
    """Return the quaternion of a gripper that points down, turned by ``yaw_rad``."""
    return quaternion_multiply(quaternion_from_axis_angle((0, 0, 1), yaw_rad), GRIPPER_DOWN)


def waypoint(env: TabletopEnv, task: Task) -> Waypoint:
    """Return what an expert would do next for ``task`` in the environment's current state."""
    goal = _waypoint(env, task)
    # What has rolled out of reach is approached as far as the robot may go.
    return replace(goal, position=np.clip(goal.position, WORKSPACE_MIN, WORKSPACE_MAX))


def _waypoint(env: TabletopEnv, task: Task) -> Waypoint:
    held = _held_object(env)
    if held is not None and (held != task.object or task.kind in ('point', 'push')):
        return _set_down(env)
    if task.kind == 'point':
        return _point(env, task)
    if task.kind == 'pick':
        return _lift(env, task) if held == task.object else _grasp(env, task.object)
    if task.kind == 'push':
        return _push(env, task)
    return _put(env, task, held == task.object)


def _held_object(env: TabletopEnv) -> str | None:
    for spec in env.scene.objects:
        if env.is_held(spec.name):
            return spec.name
    return None


def _grasp_yaw(env: TabletopEnv, name: str) -> float:
    """Return the turn in [-45, 45] degrees that lays the fingers along a block's faces."""
    if env.scene.object(name).shape != 'block':
        return 0.0
    quarter = np.pi / 2
    return float((env.object_yaw(name) + quarter / 2) % quarter - quarter / 2)


def _funnel(low_m: float, high_m: float, beside_m: float) -> float:
    """Return the height above a goal: ``low_m`` right over it, rising with the distance."""
    return float(np.clip(low_m + 4.0 * (beside_m - 0.008), low_m, high_m))


def _above(env: TabletopEnv, goal: Array, low_m: float, high_m: float) -> tuple[Array, float]:
    """Return the next position on a safe way down to ``goal`` (2,), and the distance beside."""
    p = env.end_effector.position
    beside = float(np.hypot(*(goal - p[:2])))
    if beside > 0.035 and p[2] < high_m - 0.03:  # rise before moving across what stands around
        return np.array([p[0], p[1], high_m]), beside
    return np.append(goal, _funnel(low_m, high_m, beside)), beside


def _set_down(env: TabletopEnv) -> Waypoint:
    p = env.end_effector.position
    low = p[2] < PLACE_M + 0.012
    return Waypoint(np.array([p[0], p[1], PLACE_M]), 0.0, _OPEN if low else _CLOSED)


def _clear_of_objects(env: TabletopEnv) -> bool:
    """Say whether the fingers can close without catching anything."""
    p = env.end_effector.position
    if p[2] > 0.065:
        return True
    places = (env.object_position(spec.name) for spec in env.scene.objects)
    return all(np.hypot(*(place - p)[:2]) > 0.04 for place in places)


def _point(env: TabletopEnv, task: Task) -> Waypoint:
    goal = env.object_position(task.object)[:2]
    position, beside = _above(env, goal, POINT_M, HOVER_M)
    gripper = _CLOSED if _clear_of_objects(env) else _OPEN
    return Waypoint(position, 0.0, gripper, done=beside < 0.012 and succeeded(env, task))


def _grasp(env: TabletopEnv, name: str) -> Waypoint:
    p = env.end_effector.position
    place = env.object_position(name)
    position, beside = _above(env, place[:2], GRASP_M, HOVER_M)
    # Near the table a little more is forgiven, so that closing is not given up half way.
    inside = beside < 0.014 and p[2] < GRASP_M + 0.012
    return Waypoint(position, _grasp_yaw(env, name), _CLOSED if inside else _OPEN)


def _lift(env: TabletopEnv, task: Task) -> Waypoint:
    p = env.end_effector.position
    return Waypoint(np.array([p[0], p[1], LIFT_M]), 0.0, _CLOSED, done=succeeded(env, task))


def _put(env: TabletopEnv, task: Task, held: bool) -> Waypoint:
    assert task.zone is not None
    p = env.end_effector.position
    zone = env.scene.zone(task.zone)
    goal = np.array([zone.x, zone.y])
    if held:
        beside = float(np.hypot(*(goal - p[:2])))
        if beside > 0.035 and p[2] < CARRY_M - 0.03:
            return Waypoint(np.array([p[0], p[1], CARRY_M]), 0.0, _CLOSED)
        position = np.append(goal, _funnel(PLACE_M, CARRY_M, beside))
        there = beside < 0.014 and p[2] < PLACE_M + 0.010
        return Waypoint(position, 0.0, _OPEN if there else _CLOSED)
    if in_zone(env, task.object, task.zone):
        done = succeeded(env, task)
        return Waypoint(np.array([p[0], p[1], RETREAT_M]), 0.0, _OPEN, done)
    return _grasp(env, task.object)


def _push(env: TabletopEnv, task: Task) -> Waypoint:
    assert task.zone is not None
    p = env.end_effector.position
    place = env.object_position(task.object)[:2]
    zone = env.scene.zone(task.zone)
    goal = np.array([zone.x, zone.y])
    distance = float(np.hypot(*(goal - place)))
    # Well inside the rim, so that a policy that sees it a little off is right as well.
    done = distance < _PUSHED_M and succeeded(env, task)
    if distance < 0.035:
        return Waypoint(np.array([p[0], p[1], RETREAT_M]), 0.0, _CLOSED, done)
    along = _free_direction(env, task.object, (goal - place) / distance)
    offset = p[:2] - place
    ahead = float(offset @ along)
    aside = float(abs(offset @ np.array([-along[1], along[0]])))
    gripper = _CLOSED if _clear_of_objects(env) else _OPEN
    if ahead < -0.02 and ahead > -_BEHIND_M - 0.03 and aside < 0.012 and p[2] < PUSH_M + 0.02:
        end = place + along * (along @ (goal - place) - 0.030)
        return Waypoint(np.append(end, PUSH_M), 0.0, _CLOSED, done)
    position, _ = _above(env, place - along * _BEHIND_M, PUSH_M, HOVER_M)
    return Waypoint(position, 0.0, gripper, done)


def _free_direction(env: TabletopEnv, name: str, along: Array) -> Array:
    """Return the direction (2,) nearest to ``along`` to push from where nothing else stands."""
    place = env.object_position(name)[:2]
    others = [env.object_position(o.name)[:2] for o in env.scene.objects if o.name != name]
    for turn_rad in _ASIDE_RAD:
        c, s = np.cos(turn_rad), np.sin(turn_rad)
        turned = np.array([c * along[0] - s * along[1], s * along[0] + c * along[1]])
        behind = place - turned * _BEHIND_M
        if all(np.hypot(*(other - behind)) > _ROOM_M for other in others):
            return turned
    return along
