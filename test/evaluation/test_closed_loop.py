import numpy as np
import pytest

from vla_ros.evaluation.closed_loop import ClosedLoop, measured_state
from vla_ros.interfaces import (
    ActionChunk,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State
from vla_ros.sim.environment import TabletopEnv

CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL, *REFUSAL_CHANNELS)


@pytest.fixture
def env():
    return TabletopEnv(32, seed=0)


def instructed(env, latency_s=0.0):
    loop = ClosedLoop(env, latency_s)
    loop.instruct('go')
    return loop


def chunk(env, loop, shift=(0.0, 0.0, 0.0), gripper=0.0, done=0.0, absent=0.0):
    """Return a chunk that is at the present pose, shifted, from the start on."""
    pose = env.end_effector
    row = np.concatenate([pose.position + shift, pose.quaternion, [gripper, done, 0, 0, absent]])
    values = np.tile(row, (10, 1))
    return ActionChunk(loop.stamp_ns, loop.command_stamp_ns, 'base_link', CHANNELS, values, 0.1)


def test_one_camera_period_passes(env):
    ClosedLoop(env).advance(None)
    assert env.time_s == pytest.approx(0.1)


def test_without_a_command_or_without_a_chunk_the_robot_stays(env):
    before = env.end_effector.position
    loop = ClosedLoop(env)
    loop.advance(None)
    assert (loop.state, loop.reason) == (State.IDLE, Reason.NO_COMMAND)
    loop.instruct('go')
    for _ in range(4):
        loop.advance(None)
    assert (loop.state, loop.reason) == (State.HOLDING, Reason.NO_ACTION)
    assert np.linalg.norm(env.end_effector.position - before) < 0.005


def test_the_robot_goes_where_the_chunk_says(env):
    loop = instructed(env)
    goal = env.end_effector.position + (0.0, 0.03, 0.0)
    for _ in range(10):
        loop.advance(chunk(env, loop, goal - env.end_effector.position))
    np.testing.assert_allclose(env.end_effector.position, goal, atol=0.005)
    assert loop.path_m == pytest.approx(0.03, abs=0.01)
    assert loop.state is State.RUNNING


def test_a_chunk_is_played_only_after_the_latency(env):
    loop = instructed(env, latency_s=0.1)
    loop.advance(chunk(env, loop, (0.0, 0.1, 0.0)))
    assert loop.reason is Reason.NO_ACTION
    loop.advance(None)
    assert loop.reason is Reason.OK


def test_each_command_is_new_and_chunks_of_another_are_not_played(env):
    loop = instructed(env)
    old = chunk(env, loop)
    first = loop.command_stamp_ns
    assert loop.instruct('go back') == loop.command_stamp_ns > first
    loop.advance(old)
    assert loop.reason is Reason.NO_ACTION


def test_the_task_ends_when_the_policy_says_so_in_three_chunks_in_a_row(env):
    loop = instructed(env)
    for done in (0.9, 0.9, 0.1, 0.9, 0.9):
        loop.advance(chunk(env, loop, done=done))
        assert loop.state is State.RUNNING
    loop.advance(chunk(env, loop, done=0.9))
    assert (loop.state, loop.reason) == (State.SUCCEEDED, Reason.DONE)


def test_a_command_that_the_policy_refuses_moves_nothing(env):
    before = env.end_effector.position
    loop = instructed(env)
    for _ in range(3):
        loop.advance(chunk(env, loop, (0.0, 0.1, 0.0), absent=0.8))
    assert (loop.state, loop.reason) == (State.HOLDING, Reason.OBJECT_NOT_SEEN)
    assert np.linalg.norm(env.end_effector.position - before) < 0.005


def test_the_gripper_closes_when_told(env):
    loop = instructed(env)
    for _ in range(5):
        loop.advance(chunk(env, loop, gripper=1.0))
    assert loop.gripper_target == 1.0
    assert env.gripper_closing > 0.8


def test_the_state_is_the_pose_and_the_closing(env):
    state = measured_state(env)
    np.testing.assert_allclose(state[:3], env.end_effector.position, atol=1e-6)
    assert state[7] == pytest.approx(env.gripper_closing, abs=1e-6)
