import numpy as np
import pytest
import torch

from vla_ros.evaluation.closed_loop import measured_state
from vla_ros.evaluation.rollouts import Episode, EpisodeSpec, rollout, success_rates
from vla_ros.interfaces import (
    ActionChunk,
    GRIPPER_CHANNEL,
    PolicyResult,
    POSE_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.expert import waypoint
from vla_ros.sim.tasks import KINDS, succeeded, Task

CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL)


class Encoder:
    def encode(self, text):
        return np.ones((2, 3), np.float32)


class Cheat:
    """A policy that asks the expert; ``done`` None leaves termination to it as well."""

    def __init__(self, env, task, done=None):
        self.env, self.task, self.done = env, task, done
        self.move = StraightMove(10, 0.1, 0.23, 0.5)

    def reset(self):
        pass

    def infer(self, observation):
        goal = waypoint(self.env, self.task)
        values = self.move(
            torch.from_numpy(observation.state)[None],
            torch.from_numpy(goal.position).float()[None],
            torch.tensor([goal.yaw_rad]).float(),
            torch.tensor([goal.gripper]),
        )[0].double()
        done = goal.done if self.done is None else self.done
        values = np.column_stack([values.numpy(), np.full(10, float(done))])
        chunk = ActionChunk(observation.stamp_ns, 1, 'base_link', CHANNELS, values, 0.1)
        return PolicyResult(chunk, np.zeros((2, 4, 4), np.float32), np.zeros(5, np.float32))


@pytest.fixture(scope='module')
def env():
    torch.set_num_threads(1)
    return TabletopEnv(16)


def run(env, done=None, kind='point', on_frame=None):
    task, text = EpisodeSpec(kind, 3).build(env)
    return rollout(env, Cheat(env, task, done), Encoder(), task, text, on_frame=on_frame)


def test_the_expert_as_a_policy_succeeds_and_stops(env):
    episode = run(env)
    assert episode.success
    assert episode.stopped
    assert 0.0 < episode.seconds < 8.0
    assert episode.path_m > 0.0


def test_success_counts_even_if_the_policy_does_not_say_so(env):
    episode = run(env, done=False)
    assert episode.success
    assert not episode.stopped


def test_saying_done_too_early_is_a_failure(env):
    episode = run(env, done=True)
    assert not episode.success
    assert episode.stopped
    assert episode.seconds < 0.5


def test_every_picture_is_shown(env):
    shapes = []
    run(env, done=True, on_frame=lambda image, result: shapes.append(image.shape))
    assert shapes == [(16, 16, 3)] * 3


@pytest.mark.parametrize('kind', KINDS)
def test_a_spec_always_builds_the_same_unfulfilled_task(env, kind):
    first = EpisodeSpec(kind, 11).build(env)
    scene, state = env.scene, measured_state(env)
    assert not succeeded(env, first[0])
    assert EpisodeSpec(kind, 11).build(env) == first
    assert env.scene == scene
    np.testing.assert_array_equal(measured_state(env), state)


def test_rates_are_by_kind_and_in_all():
    def episode(kind, success):
        task = Task(kind, 'red block', 'green' if kind == 'put' else None)
        return Episode(task, '', 0, success, True, 1.0, 0.1)

    rates = success_rates([episode('pick', True), episode('pick', False), episode('put', True)])
    assert {name: rate.success for name, rate in rates.items()} == {
        'pick': 0.5,
        'put': 1.0,
        'all': pytest.approx(2 / 3),
    }
