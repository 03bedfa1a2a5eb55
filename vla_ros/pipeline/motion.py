"""
Motion within limits: what a robot may be told next, from what it was told last.

The limiter keeps one invariant: braking along the present velocity comes to rest inside the
workspace. From speed s, braking at a covers at most s^2 / 2a however the time is cut into ticks,
so a step is allowed only if the point of rest after it is inside the box; otherwise it brakes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
import math

import numpy as np
from numpy.typing import ArrayLike

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Array, normalised, Pose, quaternion_conjugate, quaternion_multiply
from vla_ros.interfaces import BASE_FRAME

# Rounding of positions of a metre is 1e-16 m; this is far above it and far below any motion.
_ROUNDING_M = 1e-12


@dataclass(frozen=True)
class Limits:
    """
    What the gate enforces, in the frame ``base_frame``; raises ConfigurationError.

    The workspace is a box given by its lower and upper corner (x, y, z in metres). It has no
    default: only the user knows what stands around the robot.
    """

    workspace_min: tuple[float, ...]
    workspace_max: tuple[float, ...]
    base_frame: str = BASE_FRAME
    rate_hz: float = 50.0
    # EN ISO 10218-1 allows 250 mm/s in reduced-speed mode.
    max_speed_m_s: float = 0.25
    max_angular_speed_rad_s: float = 0.5
    max_acceleration_m_s2: float = 1.0
    max_angular_acceleration_rad_s2: float = 2.0
    action_timeout_s: float = 0.25
    camera_timeout_s: float = 0.2
    pose_timeout_s: float = 0.2
    max_tracking_error_m: float = 0.1
    max_tracking_error_rad: float = 0.6
    # A second of motion at full speed.
    max_jump_m: float = 0.25
    max_path_m: float = 5.0
    max_task_s: float = 60.0

    def __post_init__(self) -> None:
        low, high = self.workspace_min, self.workspace_max
        is_box = len(low) == len(high) == 3 and all(
            math.isfinite(a) and math.isfinite(b) and a < b for a, b in zip(low, high, strict=True)
        )
        if not is_box:
            raise ConfigurationError(
                f'workspace_min is {list(low)} and workspace_max is {list(high)}: give both as '
                'x, y, z in metres with every min below its max, for example '
                'workspace_min: [0.2, -0.3, 0.01], workspace_max: [0.6, 0.3, 0.4]. There is no '
                'default, because only you know what stands around the robot.'
            )
        if not self.base_frame:
            raise ConfigurationError('base_frame is empty: name the frame of the workspace')
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, float | int) and not 0.0 < value < math.inf:
                raise ConfigurationError(f'{f.name} is {value}: give a number above 0')

    @property
    def lead_s(self) -> float:
        """
        How far a follower that brakes in time trails a target moving at the speed limit.

        Sampling a trajectory so far ahead makes up for it.
        """
        return self.max_speed_m_s / (2.0 * self.max_acceleration_m_s2)

    def lowered(self, **changes: float) -> Limits:
        """Return these limits with some lowered; raises ConfigurationError if one would rise."""
        for name, value in changes.items():
            now = getattr(self, name)
            if not value <= now:
                raise ConfigurationError(
                    f'{name} is {now} and may only be lowered while the node runs, got {value}: '
                    'to raise it, restart the node with the new value'
                )
        return replace(self, **changes)  # type: ignore[arg-type]

    def inside(self, position: ArrayLike) -> Array:
        """Return the nearest point (3,) of the workspace."""
        # Not np.clip, which takes ten times as long on three numbers.
        return np.minimum(np.maximum(position, self.workspace_min), self.workspace_max)


class MotionLimiter:
    """
    A pose that follows targets within the limits, brakes in time and does not overshoot.

    Starts at rest. ``velocity`` (m/s) and ``angular_velocity`` (rad/s) are (3,) in the base frame
    and are exactly the differences between returned poses over the time between them.
    """

    def __init__(self, limits: Limits, start: Pose) -> None:
        """Start at rest at ``start``, moved into the workspace if it is outside."""
        self.limits = limits
        self.pose = Pose(limits.inside(start.position), normalised(start.quaternion))
        self.velocity = np.zeros(3)
        self.angular_velocity = np.zeros(3)
        self._low = np.array(limits.workspace_min) - _ROUNDING_M
        self._high = np.array(limits.workspace_max) + _ROUNDING_M

    @property
    def at_rest(self) -> bool:
        return not (self.velocity.any() or self.angular_velocity.any())

    def step(self, target: Pose, dt_s: float, speed_share: float = 1.0) -> Pose:
        """
        Move towards ``target`` (its nearest point in the workspace) for ``dt_s``.

        ``speed_share``, 0 .. 1, of the speed limits may be used.
        """
        limits = self.limits
        goal = limits.inside(target.position)
        velocity = _approach(
            goal - self.pose.position,
            self.velocity,
            dt_s,
            limits.max_speed_m_s * speed_share,
            limits.max_acceleration_m_s2,
        )
        if not self._can_stop(velocity, dt_s):
            velocity = _braked(self.velocity, dt_s, limits.max_acceleration_m_s2)
        angular_velocity = _approach(
            _rotation_vector(self.pose.quaternion, target.quaternion),
            self.angular_velocity,
            dt_s,
            limits.max_angular_speed_rad_s * speed_share,
            limits.max_angular_acceleration_rad_s2,
        )
        return self._move(velocity, angular_velocity, dt_s)

    def brake(self, dt_s: float) -> Pose:
        """Slow down for ``dt_s`` at the acceleration limits; at rest, stay."""
        limits = self.limits
        return self._move(
            _braked(self.velocity, dt_s, limits.max_acceleration_m_s2),
            _braked(self.angular_velocity, dt_s, limits.max_angular_acceleration_rad_s2),
            dt_s,
        )

    def _can_stop(self, velocity: Array, dt_s: float) -> bool:
        """Whether braking after a step at ``velocity`` comes to rest inside the workspace."""
        stopping_s = _norm(velocity) / (2.0 * self.limits.max_acceleration_m_s2)
        rest = self.pose.position + velocity * (dt_s + stopping_s)
        return bool((rest >= self._low).all() and (rest <= self._high).all())

    def _move(self, velocity: Array, angular_velocity: Array, dt_s: float) -> Pose:
        self.velocity, self.angular_velocity = velocity, angular_velocity
        self.pose = Pose(
            self.limits.inside(self.pose.position + velocity * dt_s),
            _rotated(self.pose.quaternion, angular_velocity * dt_s),
        )
        return self.pose


def _norm(vector: Array) -> float:
    return math.sqrt(vector @ vector)


def _approach(
    error: Array, velocity: Array, dt_s: float, max_speed: float, max_acceleration: float
) -> Array:
    """
    Return the velocity for the next ``dt_s`` that takes ``error`` to zero soonest.

    The speed v towards the target solves v dt + v^2 / 2a = distance: after this step there is
    just room to brake. Keeping to it never asks for more than a, whatever the next dt is.
    """
    distance = _norm(error)
    if distance > 0.0:
        time_s = math.sqrt(dt_s * dt_s + 2.0 * distance / max_acceleration) - dt_s
        wanted = error * (min(max_acceleration * time_s, max_speed) / distance)
    else:
        wanted = np.zeros(3)
    change = wanted - velocity
    size, most = _norm(change), max_acceleration * dt_s
    return wanted if size <= most else velocity + change * (most / size)


def _braked(velocity: Array, dt_s: float, max_acceleration: float) -> Array:
    speed = _norm(velocity)
    slower = speed - max_acceleration * dt_s
    return velocity * (slower / speed) if slower > 0.0 else np.zeros(3)


def _rotation_vector(start: Array, end: Array) -> Array:
    """Return axis times angle (3,) of the shortest rotation from ``start`` to ``end``."""
    turn = quaternion_multiply(end, quaternion_conjugate(start))
    # Both signs are the same rotation; of the two ways half a turn can go, always take one.
    if tuple(turn[::-1]) < (0.0, 0.0, 0.0, 0.0):
        turn = -turn
    sine = _norm(turn[:3])
    if sine < 1e-12:
        return 2.0 * turn[:3]
    return turn[:3] * (2.0 * math.atan2(sine, turn[3]) / sine)


def _rotated(quaternion: Array, rotation_vector: Array) -> Array:
    """Return the unit quaternion after the rotation; less than half a turn keeps its sign."""
    half = 0.5 * _norm(rotation_vector)
    if half == 0.0:
        return quaternion
    scale = 0.5 * math.sin(half) / half
    turn = np.array([*(rotation_vector * scale), math.cos(half)])
    return normalised(quaternion_multiply(turn, quaternion))
