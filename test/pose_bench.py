"""A robot and a policy around the pose node, over real topics and services."""

import time

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    ActionChunk,
    EncodedCommand,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    chunk_to_message,
    command_to_message,
    pose_from_message,
    pose_to_message,
)
from vla_ros.nodes.pose_node import PoseNode

START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
GOAL = Pose.of((0.4, 0.2, 0.2), (1.0, 0.0, 0.0, 0.0))
WORKSPACE = {'workspace_min': [0.2, -0.3, 0.0], 'workspace_max': [0.6, 0.3, 0.4]}


def parameters(**values) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


class Bench:
    """A robot and a policy around the pose node; each can be switched off."""

    def __init__(self, graph, robot: Pose | None = START, **changes) -> None:
        self.graph = graph
        self.node = graph.add(PoseNode(parameter_overrides=parameters(**WORKSPACE, **changes)))
        self.actions = graph.listen(wiring.ROBOT_ACTION)
        self.grippers = graph.listen(wiring.GRIPPER_ACTION)
        self.statuses = graph.listen(wiring.STATUS)
        self.robot = robot
        #: The stamp of every measured pose; None: the time at which it is sent.
        self.pose_ns: int | None = None
        #: So far from that time, and in which frame.
        self.pose_ahead_s, self.pose_frame = 0.0, 'base_link'
        self.policy_is_on = True
        self.goal, self.frame_id = GOAL, 'base_link'
        self.termination = 0.0
        self.refusals = (0.0, 0.0, 0.0)
        self.command_ns = 0
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        graph.peer.create_timer(0.02, self._move, clock=steady)
        graph.peer.create_timer(0.05, self._infer, clock=steady)
        graph.until(lambda: self.statuses)

    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    def _move(self) -> None:
        if self.robot is None:
            return
        pose = pose_from_message(self.actions[-1]) if self.actions else self.robot
        sent_ns = self.now_ns() + round(self.pose_ahead_s * 1e9)
        stamp_ns = sent_ns if self.pose_ns is None else self.pose_ns
        message = pose_to_message(pose, stamp_ns, self.pose_frame)
        self.graph.publish(wiring.ROBOT_POSE, message)

    def _infer(self) -> None:
        if self.policy_is_on and self.command_ns:
            self.graph.publish(wiring.ACTION_CHUNK, chunk_to_message(self.chunk()))

    def chunk(self) -> ActionChunk:
        row = [*self.goal.vector(), 0.7, self.termination, *self.refusals]
        return ActionChunk(
            stamp_ns=self.now_ns(),
            command_stamp_ns=self.command_ns,
            frame_id=self.frame_id,
            channels=(*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL, *REFUSAL_CHANNELS),
            values=np.array([row, row, row, row]),
            dt_s=0.1,
        )

    def command(self, text: str = 'pick up the red block') -> None:
        self.command_ns = self.now_ns()
        tokens = np.ones((3, 4), dtype=np.float32)
        command = EncodedCommand(text, self.command_ns, tokens)
        self.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))

    def run(self) -> None:
        """Give a command and wait until the robot moves."""
        self.wait_for('idle', 'no_command')
        self.command()
        self.wait_for('running', 'ok')
        self.graph.until(lambda: self.way_m() > 0.003)

    def way_m(self) -> float:
        return float(np.linalg.norm(pose_from_message(self.actions[-1]).position - START.position))

    def told(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.statuses[-1].values}

    def wait_for(self, state: str, reason: str, timeout_s: float = 20.0) -> None:
        def is_told() -> bool:
            told = self.told()
            return (told['state'], told['reason']) == (state, reason)

        self.graph.until(is_told, timeout_s)

    def rest(self) -> None:
        """Wait until the poses stand still, as they must within the braking time."""
        self.graph.until(lambda: len(self.actions) > 2)
        self.spin(0.3)  # 0.25 m/s at 1 m/s^2 takes 0.25 s
        count = len(self.actions)
        self.graph.until(lambda: len(self.actions) > count + 3)
        held = [pose_from_message(m).position for m in self.actions[count:]]
        assert np.ptp(held, axis=0).max() == 0.0

    def is_told_nothing(self, seconds: float = 0.3) -> bool:
        """Return whether a robot that has not moved yet is told nothing for a while."""
        self.spin(seconds)
        return not (self.actions or self.grippers)

    def spin(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.graph.until(lambda: time.monotonic() > end_s)

    def trigger(self, name: str):
        return self.graph.call(Trigger, f'pose/{name}', Trigger.Request())


class OneToken:
    """Encodes any text as one token."""

    def encode(self, text: str) -> np.ndarray:
        return np.ones((1, 4), dtype=np.float32)

    def pieces(self, text: str) -> tuple[str, ...]:
        return ('word',)
