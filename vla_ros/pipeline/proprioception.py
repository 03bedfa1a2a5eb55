"""What the robot measures of itself, matched in time to what its camera saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Pose
from vla_ros.interfaces import STATE_CHANNELS

#: For so long poses are kept: images are younger. At most so many: a flood fills no memory.
HISTORY_S, AT_MOST = 1.0, 2000


class Proprioception:
    """
    The poses of the last second and the newest gripper closing.

    ``received_s`` is the receiver's steady time, so that a wrong clock cannot make data fresh.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._poses: deque[tuple[float, int, Pose]] = deque(maxlen=AT_MOST)
        self._gripper = 0.0
        self._gripper_received_s = -np.inf

    def add_pose(self, stamp_ns: int, pose: Pose, received_s: float) -> None:
        self._poses.append((received_s, stamp_ns, pose))
        while received_s - self._poses[0][0] > HISTORY_S:
            self._poses.popleft()

    def set_gripper(self, closing: float, received_s: float) -> None:
        self._gripper = closing
        self._gripper_received_s = received_s

    def has_pose(self, now_s: float) -> bool:
        """Say whether a pose came within the timeout."""
        return bool(self._poses) and now_s - self._poses[-1][0] <= self._timeout_s

    def has_gripper(self, now_s: float) -> bool:
        return now_s - self._gripper_received_s <= self._timeout_s

    def at(self, stamp_ns: int, channels: Sequence[str]) -> NDArray[np.float32]:
        """
        Return ``channels`` (s,) as measured nearest to ``stamp_ns``; there must be a pose.

        Raises ValueError if none was measured within the timeout of it.
        """
        _, measured_ns, pose = min(self._poses, key=lambda kept: abs(kept[1] - stamp_ns))
        apart_s = (measured_ns - stamp_ns) * 1e-9
        if abs(apart_s) > self._timeout_s:
            side = 'after' if apart_s > 0 else 'before'
            stamped = f'is stamped {abs(apart_s):.2f} s {side} the image'
            raise ValueError(
                f'the nearest robot_pose {stamped if measured_ns else "has no stamp"}: no '
                'inference with it; let both drivers stamp with the time of measuring, and '
                'synchronise the clocks'
            )
        values = dict(zip(STATE_CHANNELS, [*pose.vector(), self._gripper], strict=True))
        return np.array([values[name] for name in channels], dtype=np.float32)
