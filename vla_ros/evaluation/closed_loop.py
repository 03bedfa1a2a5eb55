"""
A robot in simulation under the very controller that runs on a real one.

Everything is told the time, so the loop runs as fast as the machine allows and is repeatable.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from vla_ros.interfaces import ActionChunk, BASE_FRAME
from vla_ros.pipeline.controller import Controller
from vla_ros.pipeline.gate import Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State
from vla_ros.sim.environment import CONTROL_DT_S, TabletopEnv, WORKSPACE_MAX, WORKSPACE_MIN

CAMERA_PERIOD_S = 0.1
#: Between an image and its action, if not told otherwise.
LATENCY_S = 0.06
_TICKS_PER_IMAGE = round(CAMERA_PERIOD_S / CONTROL_DT_S)


def measured_state(env: TabletopEnv) -> NDArray[np.float32]:
    """Return the state channels (8,): measured pose and gripper closing."""
    return np.append(env.end_effector.vector(), env.gripper_closing).astype(np.float32)


class ClosedLoop:
    """
    Plays chunks on ``env``, each ``latency_s`` after the image that it was inferred from.

    The latency is rounded to control ticks of ``CONTROL_DT_S``. Nothing moves before the first
    command, and only chunks that carry ``command_stamp_ns`` are played.
    """

    def __init__(self, env: TabletopEnv, latency_s: float = LATENCY_S) -> None:
        self._env = env
        self._latency_ticks = round(latency_s / CONTROL_DT_S)
        self._controller = Controller(Limits(WORKSPACE_MIN, WORKSPACE_MAX, base_frame=BASE_FRAME))
        self._pending: deque[tuple[int, ActionChunk]] = deque()
        self._tick = 0
        self._target = env.end_effector
        self._gripper = env.gripper_closing
        self.path_m = 0.0

    @property
    def state(self) -> State:
        return self._controller.state

    @property
    def reason(self) -> Reason:
        """Why the state is what it is; OK while moving."""
        return self._controller.reason

    @property
    def command_stamp_ns(self) -> int:
        """Return the identity of the last command, 0 before the first."""
        return self._controller.command_stamp_ns

    @property
    def stamp_ns(self) -> int:
        """Return the simulated time: the stamp of an image taken now."""
        return round(self._env.time_s * 1e9)

    @property
    def gripper_target(self) -> float:
        """Return the gripper closing that was last asked for."""
        return self._gripper

    def instruct(self, text: str) -> int:
        """Give a command, in place of the last one; return its identity."""
        now_ns = self.stamp_ns
        stamp_ns = max(now_ns, self.command_stamp_ns) + 1  # newer than any before
        self._controller.start(text, stamp_ns, now_ns)
        return stamp_ns

    def advance(self, chunk: ActionChunk | None) -> None:
        """
        Run one camera period; ``chunk`` was inferred from the image taken right before.

        None stands for an image that nothing was inferred from.
        """
        if chunk is not None:
            self._pending.append((self._tick + self._latency_ticks, chunk))
        for _ in range(_TICKS_PER_IMAGE):
            self._control()
            self._tick += 1

    def _control(self) -> None:
        env, controller = self._env, self._controller
        now = Instant(steady_s=env.time_s, stamp_ns=self.stamp_ns)
        while self._pending and self._pending[0][0] <= self._tick:
            controller.accept(self._pending.popleft()[1], now)
        before = env.end_effector
        controller.measured = Measured(before, BASE_FRAME, now.steady_s)
        output = controller.tick(now)
        if output.pose is not None:
            self._target = output.pose
        if output.gripper is not None:
            self._gripper = output.gripper
        env.step(self._target, self._gripper)
        self.path_m += float(np.linalg.norm(env.end_effector.position - before.position))
