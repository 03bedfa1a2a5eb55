import numpy as np
import pytest

from vla_ros.evaluation.closed_loop import ClosedLoop, measured_state
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.pipeline.gate import Reason
from vla_ros.sim.environment import TabletopEnv

CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL)


@pytest.fixture
def env():
    return TabletopEnv(32, seed=0)


def chunk(env, shift=(0.0, 0.0, 0.0), gripper=0.0):
    """Return a chunk that is at the present pose, shifted, from the start on."""
    pose = env.end_effector
    row = np.concatenate([pose.position + shift, pose.quaternion, [gripper]])
    return ActionChunk(
        round(env.time_s * 1e9), 0, 'base_link', CHANNELS, np.tile(row, (10, 1)), 0.1
    )


def test_one_camera_period_passes(env):
    ClosedLoop(env).advance(None)
    assert env.time_s == pytest.approx(0.1)


def test_without_a_chunk_the_robot_stays(env):
    before = env.end_effector.position
    loop = ClosedLoop(env)
    for _ in range(5):
        loop.advance(None)
    assert loop.reason is Reason.NO_ACTION
    assert np.linalg.norm(env.end_effector.position - before) < 0.005


def test_the_robot_goes_where_the_chunk_says(env):
    loop = ClosedLoop(env, latency_s=0.0)
    goal = env.end_effector.position + (0.0, 0.03, 0.0)
    for _ in range(10):
        loop.advance(chunk(env, goal - env.end_effector.position))
    np.testing.assert_allclose(env.end_effector.position, goal, atol=0.005)
    assert loop.path_m == pytest.approx(0.03, abs=0.01)


def test_a_chunk_is_played_only_after_the_latency(env):
    loop = ClosedLoop(env, latency_s=0.1)
    loop.advance(chunk(env, (0.0, 0.1, 0.0)))
    assert loop.reason is Reason.NO_ACTION
    loop.advance(None)
    assert loop.reason is Reason.OK


def test_the_gripper_closes_when_told(env):
    loop = ClosedLoop(env, latency_s=0.0)
    for _ in range(5):
        loop.advance(chunk(env, gripper=1.0))
    assert loop.gripper_target == 1.0
    assert env.gripper_closing > 0.8


def test_the_state_is_the_pose_and_the_closing(env):
    state = measured_state(env)
    np.testing.assert_allclose(state[:3], env.end_effector.position, atol=1e-6)
    assert state[7] == pytest.approx(env.gripper_closing, abs=1e-6)
