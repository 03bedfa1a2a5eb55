"""What the robot measures of itself, matched in time to what its camera saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Pose
from vla_ros.interfaces import STATE_CHANNELS

#: A second of poses at 50 Hz: images are younger.
HISTORY = 50


class Proprioception:
    """
    The newest poses and the newest gripper closing.

    ``received_s`` is the receiver's steady time, so that a wrong clock cannot make data fresh.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._poses: deque[tuple[int, Pose]] = deque(maxlen=HISTORY)
        self._pose_received_s = -np.inf
        self._gripper = 0.0
        self._gripper_received_s = -np.inf

    def add_pose(self, stamp_ns: int, pose: Pose, received_s: float) -> None:
        self._poses.append((stamp_ns, pose))
        self._pose_received_s = received_s

    def set_gripper(self, closing: float, received_s: float) -> None:
        self._gripper = closing
        self._gripper_received_s = received_s

    def has_pose(self, now_s: float) -> bool:
        """Say whether a pose came within the timeout."""
        return now_s - self._pose_received_s <= self._timeout_s

    def has_gripper(self, now_s: float) -> bool:
        return now_s - self._gripper_received_s <= self._timeout_s

    def at(self, stamp_ns: int, channels: Sequence[str]) -> NDArray[np.float32]:
        """Return ``channels`` (s,) as measured nearest to ``stamp_ns``; there must be a pose."""
        pose = min(self._poses, key=lambda stamped: abs(stamped[0] - stamp_ns))[1]
        values = dict(zip(STATE_CHANNELS, [*pose.vector(), self._gripper], strict=True))
        return np.array([values[name] for name in channels], dtype=np.float32)
