"""The controller: events and chunks in, what the robot is told out."""

from dataclasses import replace

import numpy as np
import pytest

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


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def running(bench) -> Bench:
    bench.command()
    bench.run(0.2)
    assert bench.seen() == (State.RUNNING, Reason.OK)
    return bench


def test_without_a_command_it_holds_the_measured_pose(bench):
    output = bench.tick()
    assert (output.reason, output.gripper) == (Reason.NO_COMMAND, None)
    assert (output.pose.position == START.position).all()


def test_a_command_is_followed_to_its_end(running):
    output = running.run(2.0)
    assert output.pose.position == pytest.approx((0.45, 0.05, 0.2), abs=1e-6)
    assert output.gripper == 0.5


def test_a_pose_tells_the_image_that_it_follows_from(running):
    made = running.chunk()
    running.controller.accept(made, running.now)
    assert running.tick().image_stamp_ns == made.stamp_ns


def test_chunks_that_are_not_played_are_named(running):
    other = replace(running.chunk(), command_stamp_ns=1)
    assert running.controller.accept(other, running.now) == 'chunk_of_another_command'
    older = replace(running.chunk(), stamp_ns=running.now.stamp_ns - 500_000_000)
    assert running.controller.accept(older, running.now) == 'chunk_older_than_played'
    running.command()
    assert running.accept(refusals=(0.0, 0.6, 0.0)) == 'chunk_that_refuses'


def test_a_refusal_that_is_no_number_is_an_error_and_counts_for_nothing(bench):
    bench.command()
    for _ in range(5):
        with pytest.raises(ValueError, match='refusal'):
            bench.accept(refusals=(np.nan, 0.0, 0.0))
    assert bench.seen() == (State.HOLDING, Reason.NO_ACTION)


def test_while_the_policy_refuses_nothing_moves_and_then_the_task_ends(bench):
    bench.command()
    bench.policy = {'refusals': (0.1, 0.2, 0.4)}
    bench.run(0.3)
    assert bench.seen() == (State.HOLDING, Reason.OBJECT_NOT_SEEN)
    assert np.ptp(bench.path, axis=0).max() == 0.0


def test_once_understood_an_object_hidden_by_the_hand_stops_nothing(running):
    running.policy = {'refusals': (0.0, 0.0, 1.0)}
    running.run(1.0)
    assert running.seen() == (State.RUNNING, Reason.OK)


def test_terminations_of_three_chunks_in_a_row_end_the_task(running):
    running.policy = {'done': 0.9}
    running.run(0.2)
    assert running.seen() == (State.RUNNING, Reason.OK)
    running.run(0.1)
    assert running.seen() == (State.SUCCEEDED, Reason.DONE)
    assert running.controller.progress == 0.9


def test_a_termination_that_the_gate_does_not_let_through_does_not_count(running):
    running.policy = {'done': 0.9, 'goal': (0.9, 0.0, 0.2)}
    running.run(1.0)
    assert running.seen() == (State.HOLDING, Reason.OUTSIDE_WORKSPACE)


def test_a_new_command_forgets_the_old_chunk(running):
    running.command('go back')
    assert running.tick().reason is Reason.NO_ACTION
