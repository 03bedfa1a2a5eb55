"""
The gate: the only way from a wish to the robot.

Pure, and told the time. Whatever it is given, what it lets out is finite, inside the workspace
and within the limits of speed and acceleration, or a hold. It trusts neither the model nor the
messages nor the clock. It is no certified safety function: the robot's own limits and emergency
stop remain in charge.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import angle_between, Array, normalised, Pose
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.pipeline.reason import Reason

#: Clocks of two machines that are kept in step differ by less.
FUTURE_TOLERANCE_S = 0.05
#: A target no farther outside is meant to be on the wall; one farther is refused.
WORKSPACE_TOLERANCE_M = 0.005
#: The same for a gripper value beyond 0 .. 1, which regressing policies overshoot a little.
GRIPPER_TOLERANCE = 0.25


@dataclass(frozen=True)
class Instant:
    """Now, on the steady clock (s) and on the clock that stamps the images (ns)."""

    steady_s: float
    stamp_ns: int


@dataclass(frozen=True, eq=False)
class Candidate:
    """
    What a policy wishes the robot to do now; ``gripper`` 0 open .. 1 closed, None to leave it.

    ``stamp_ns`` is the stamp of the image it follows from, ``received_s`` the steady time at which
    it came.
    """

    pose: Pose
    gripper: float | None
    frame_id: str
    stamp_ns: int
    received_s: float


@dataclass(frozen=True, eq=False)
class Measured:
    """
    The robot's measured end-effector pose.

    ``received_s`` is the steady time at which it came or, where its stamp tells, was measured.
    """

    pose: Pose
    frame_id: str
    received_s: float


@dataclass(frozen=True, eq=False)
class GateOutput:
    """
    What to publish: nothing while ``pose`` is None, and no gripper while ``gripper`` is None.

    With ``reason`` OK the candidate is followed, which follows from the image stamped
    ``image_stamp_ns``; with any other the robot brakes or holds.
    """

    pose: Pose | None
    gripper: float | None
    reason: Reason
    image_stamp_ns: int | None = None

    @property
    def held(self) -> bool:
        return self.reason is not Reason.OK


class Gate:
    """
    Lets candidates through within ``limits``, and otherwise brakes and holds.

    Motion starts at rest from the measured pose. A target farther than one tick allows is
    approached at the limits; everything else out of order is refused whole, with a reason.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._motion: MotionLimiter | None = None
        self._gripper: float | None = None
        self._last_quaternion: Array | None = None
        self._last_s: float | None = None
        #: Ticks in which the target was farther than one tick allows.
        self.limited_ticks = 0
        self.begin()

    def begin(self) -> None:
        """Begin a new task, with a path and a time of its own."""
        #: Of this task: the way of the poses let out, and the time they followed candidates.
        self.path_m = self.moving_s = 0.0

    @property
    def limits(self) -> Limits:
        return self._limits

    def lower(self, **changes: float) -> None:
        """
        Lower some of the limits, from the next tick on; raises ConfigurationError.

        A robot in motion needs the room for braking that it was promised: the accelerations can
        be lowered at rest only.
        """
        limits = self._limits.lowered(**changes)
        in_motion = self._motion is not None and not self._motion.at_rest
        if in_motion and any('acceleration' in name for name in changes):
            raise ConfigurationError('the robot moves: lower its acceleration when it is at rest')
        self._limits = limits
        if self._motion is not None:
            self._motion.limits = limits

    def tick(
        self,
        now: Instant,
        wish: Candidate | Reason,
        measured: Measured | None,
        speed_share: float = 1.0,
    ) -> GateOutput:
        """
        Return what to publish now; call it at ``limits.rate_hz``.

        ``wish`` is a candidate, or the reason why there is none. ``speed_share``, 0 .. 1, of the
        speed limits may be used.
        """
        dt_s = self._elapsed_s(now)
        reason = self._judge_robot(now, measured)
        if reason is not Reason.OK and self._motion is not None and self._motion.at_rest:
            # Unknown, moved by hand, reset or blocked: the next start is where the robot then is.
            self._last_quaternion = self._motion.pose.quaternion
            self._motion = self._gripper = None
        motion = self._motion
        if motion is None and reason is Reason.OK and measured is not None:
            motion = MotionLimiter(self._limits, self._continued(measured.pose))
            dt_s = 0.0  # the first pose is where the robot is
        if reason is Reason.OK and motion is not None:
            reason = wish if isinstance(wish, Reason) else self._judge(now, wish, motion)
        if motion is None or (self._motion is None and reason is not Reason.OK):
            # The robot is told nothing before it is to move, not even to stay: were the measured
            # pose that of another link than the one that is driven, it would move.
            return GateOutput(None, None, reason)
        self._motion, before = motion, motion.pose
        if isinstance(wish, Candidate) and reason is Reason.OK:
            output = self._follow(wish, motion, dt_s, speed_share)
        else:
            output = GateOutput(motion.brake(dt_s), self._gripper, reason)
        self.path_m += math.dist(before.position, motion.pose.position)
        return output

    def _continued(self, pose: Pose) -> Pose:
        """Return ``pose`` with that sign of its quaternion that goes on from the last pose."""
        quaternion, last = normalised(pose.quaternion), self._last_quaternion
        flips = last is not None and float(last @ quaternion) < 0.0
        return Pose(pose.position, -quaternion if flips else quaternion)

    def _follow(
        self, wish: Candidate, motion: MotionLimiter, dt_s: float, speed_share: float
    ) -> GateOutput:
        if wish.gripper is not None:
            self._gripper = min(max(float(wish.gripper), 0.0), 1.0)
        target = Pose(wish.pose.position, normalised(wish.pose.quaternion))
        self.limited_ticks += self._is_beyond(target, motion.pose, dt_s)
        self.moving_s += dt_s
        pose = motion.step(target, dt_s, speed_share)
        return GateOutput(pose, self._gripper, Reason.OK, wish.stamp_ns)

    def _elapsed_s(self, now: Instant) -> float:
        """Return the time since the last tick; a pause counts as two periods, never as a leap."""
        last_s, self._last_s = self._last_s, now.steady_s
        period_s = 1.0 / self._limits.rate_hz
        if last_s is None:
            return period_s
        return min(max(now.steady_s - last_s, 0.0), 2.0 * period_s)

    def _judge_robot(self, now: Instant, measured: Measured | None) -> Reason:
        """Judge whether the robot is known to be where motion may start or go on."""
        limits = self._limits
        if measured is None:
            return Reason.NO_POSE
        pose = measured.pose
        if not (_numeric(pose) and _finite(pose) and _unit(pose)):
            return Reason.POSE_MALFORMED
        if measured.frame_id != limits.base_frame:
            return Reason.POSE_FRAME
        if not _is_recent(now.steady_s - measured.received_s, limits.pose_timeout_s):
            return Reason.POSE_LATE
        if self._motion is None:
            return Reason.OK if self._within(pose) else Reason.POSE_OUTSIDE
        error_m = math.dist(pose.position, self._motion.pose.position)
        error_rad = angle_between(normalised(pose.quaternion), self._motion.pose.quaternion)
        if error_m > limits.max_tracking_error_m or error_rad > limits.max_tracking_error_rad:
            return Reason.NOT_FOLLOWING
        return Reason.OK

    def _judge(self, now: Instant, wish: Candidate, motion: MotionLimiter) -> Reason:
        """
        Judge a candidate; every comparison is written so that NaN fails it.

        Speed and acceleration come after this: they are kept, not judged.
        """
        limits, pose = self._limits, wish.pose
        gripper = 0.0 if wish.gripper is None else wish.gripper
        if not (_numeric(pose) and isinstance(gripper, float | int | np.floating)):
            return Reason.MALFORMED
        if not (_finite(pose) and math.isfinite(gripper)):
            return Reason.NOT_FINITE
        if wish.frame_id != limits.base_frame:
            return Reason.WRONG_FRAME
        image_age_s = (now.stamp_ns - wish.stamp_ns) * 1e-9
        if not image_age_s <= limits.camera_timeout_s:
            return Reason.IMAGE_OLD
        if not image_age_s >= -FUTURE_TOLERANCE_S:
            return Reason.IMAGE_FUTURE
        if not _is_recent(now.steady_s - wish.received_s, limits.action_timeout_s):
            return Reason.ACTION_LATE
        if not self._within(pose):
            return Reason.OUTSIDE_WORKSPACE
        if not math.dist(pose.position, motion.pose.position) <= limits.max_jump_m:
            return Reason.JUMP
        if not _unit(pose):
            return Reason.BAD_QUATERNION
        if not self.path_m < limits.max_path_m:
            return Reason.PATH_SPENT
        if not self.moving_s < limits.max_task_s:
            return Reason.TIME_SPENT
        if not -GRIPPER_TOLERANCE <= gripper <= 1.0 + GRIPPER_TOLERANCE:
            return Reason.GRIPPER_RANGE
        return Reason.OK

    def _is_beyond(self, target: Pose, last: Pose, dt_s: float) -> bool:
        """Whether the limits of speed do not allow to be at ``target`` ``dt_s`` after ``last``."""
        limits = self._limits
        way_m = math.dist(target.position, last.position)
        angle_rad = angle_between(last.quaternion, target.quaternion)
        too_fast = way_m > limits.max_speed_m_s * dt_s
        return too_fast or angle_rad > limits.max_angular_speed_rad_s * dt_s

    def _within(self, pose: Pose) -> bool:
        distance_m = math.dist(pose.position, self._limits.inside(pose.position))
        return distance_m <= WORKSPACE_TOLERANCE_M


def _numeric(pose: Pose) -> bool:
    position, quaternion = np.asarray(pose.position), np.asarray(pose.quaternion)
    shapes = position.shape, quaternion.shape
    return (
        shapes == ((3,), (4,)) and position.dtype.kind in 'fiu' and quaternion.dtype.kind in 'fiu'
    )


def _finite(pose: Pose) -> bool:
    return bool(np.isfinite(pose.position).all() and np.isfinite(pose.quaternion).all())


def _unit(pose: Pose) -> bool:
    """Whether the quaternion means a rotation: float32 and averaging shorten one a little."""
    return 0.9 <= math.hypot(*pose.quaternion) <= 1.1


def _is_recent(age_s: float, timeout_s: float) -> bool:
    # A receive time lies in the past but for the rounding of a float.
    return -1e-3 <= age_s <= timeout_s
