"""A controller with two clocks, a robot and a policy, for its tests."""

import numpy as np

from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    ActionChunk,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.pipeline.controller import Controller
from vla_ros.pipeline.gate import GateOutput, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import Rules, State

LIMITS = Limits(workspace_min=(0.2, -0.3, 0.0), workspace_max=(0.6, 0.3, 0.4))
START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL, *REFUSAL_CHANNELS)
TICK_S = 0.02


class Bench:
    """A controller, two clocks, a robot that is where it was sent and a policy at 10 Hz."""

    def __init__(self, limits: Limits = LIMITS, **rules) -> None:
        self.controller = Controller(limits, Rules(**rules))
        self.now = Instant(100.0, 5_000_000_000)
        self.robot = START
        self.path = [START.position]
        self.policy = {}

    def command(self, text: str = 'go') -> None:
        assert self.controller.start(text, self.now.stamp_ns, self.now.stamp_ns)

    def chunk(self, goal=(0.45, 0.05, 0.2), done=0.0, refusals=(0.0, 0.0, 0.0)) -> ActionChunk:
        row = [*goal, *START.quaternion, 0.5, done, *refusals]
        return ActionChunk(
            stamp_ns=self.now.stamp_ns,
            command_stamp_ns=self.controller.command_stamp_ns,
            frame_id='base_link',
            channels=CHANNELS,
            values=np.tile(row, (10, 1)),
            dt_s=0.1,
        )

    def accept(self, **policy) -> str:
        return self.controller.accept(self.chunk(**policy), self.now)

    def tick(self) -> GateOutput:
        self.now = Instant(self.now.steady_s + TICK_S, self.now.stamp_ns + round(TICK_S * 1e9))
        self.controller.measured = Measured(self.robot, 'base_link', self.now.steady_s)
        output = self.controller.tick(self.now)
        self.robot = output.pose or self.robot
        self.path.append(self.robot.position)
        return output

    def run(self, seconds: float) -> GateOutput:
        for i in range(round(seconds / TICK_S)):
            if i % 5 == 0:
                self.accept(**self.policy)
            output = self.tick()
        return output

    def seen(self) -> tuple[State, Reason]:
        return self.controller.state, self.controller.reason


def started() -> Bench:
    """Return one whose task runs."""
    bench = Bench()
    bench.command()
    bench.run(0.2)
    assert bench.seen() == (State.RUNNING, Reason.OK)
    return bench
