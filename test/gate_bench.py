"""A gate with two clocks, and a robot that is always where it was sent."""

from dataclasses import replace

from vla_ros.geometry import Pose
from vla_ros.pipeline.gate import Candidate, Gate, GateOutput, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.reason import Reason

LIMITS = Limits(workspace_min=(0.2, -0.3, 0.0), workspace_max=(0.6, 0.3, 0.4))
START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
GOAL = Pose.of((0.5, 0.1, 0.2), (1.0, 0.0, 0.0, 0.0))
PERIOD_S = 0.02


class Bench:
    """A gate, two clocks and a robot that is always where it was sent."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.gate = Gate(limits)
        self.now = Instant(100.0, 5_000_000_000)
        self.robot: Pose = START

    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now.steady_s + seconds, self.now.stamp_ns + round(seconds * 1e9))

    def candidate(self, pose: Pose = GOAL, gripper: float | None = 0.5, **changes) -> Candidate:
        made = Candidate(pose, gripper, 'base_link', self.now.stamp_ns, self.now.steady_s)
        return replace(made, **changes)

    def tick(self, wish: Candidate | Reason, **changes) -> GateOutput:
        self.wait(PERIOD_S)
        measured = Measured(self.robot, 'base_link', self.now.steady_s)
        output = self.gate.tick(self.now, wish, replace(measured, **changes))
        if output.pose is not None:
            self.robot = output.pose
        return output

    def follow(self, ticks: int) -> GateOutput:
        return [self.tick(self.candidate()) for _ in range(ticks)][-1]
