import numpy as np
import pytest
import torch

from vla_ros.evaluation.rollouts import Roller
from vla_ros.evaluation.splits import build, Spec
from vla_ros.interfaces import (
    ActionChunk,
    GRIPPER_CHANNEL,
    PolicyResult,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.pipeline.command import CommandError
from vla_ros.sim.expert import waypoint
from vla_ros.sim.tasks import Task

CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL, *REFUSAL_CHANNELS)
GRID = (24, 24)


class Encoder:
    def __init__(self, fits=True):
        self.fits = fits

    def encode(self, text):
        if not self.fits:
            raise CommandError('too_long', 'too many tokens')
        return np.ones((2, 3), np.float32)


class Cheat:
    """
    A policy that asks the expert and looks at the object.

    ``done`` None leaves termination to the expert as well; ``refusal`` is that of an object that
    is not seen.
    """

    def __init__(self, done=None, refusal=0.0):
        self.done, self.refusal = done, refusal
        self.move = StraightMove(10, 0.1, 0.23, 0.5)
        self.seen = []

    def reset(self):
        self.seen = []

    def infer(self, observation):
        self.seen.append(observation)
        goal = waypoint(self.env, self.task)
        values = self.move(
            torch.from_numpy(observation.state)[None],
            torch.from_numpy(goal.position).float()[None],
            torch.tensor([goal.yaw_rad]).float(),
            torch.tensor([goal.gripper]),
        )[0].double()
        done = goal.done if self.done is None else self.done
        ends = np.tile([float(done), 0.0, 0.0, self.refusal], (10, 1))
        chunk = ActionChunk(
            observation.stamp_ns,
            observation.command.stamp_ns,
            'base_link',
            CHANNELS,
            np.column_stack([values.numpy(), ends]),
            0.1,
        )
        attention = np.zeros((2, *GRID), np.float32)
        camera = self.env.camera.resized(*GRID)
        u, v = camera.project(self.env.object_position(self.task.object))[0]
        attention[1, round(v), round(u)] = 1.0
        return PolicyResult(chunk, attention, np.zeros(5, np.float32))


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    torch.set_num_threads(1)


def cheating(spec, **options):
    """Return a roller of the expert, who does the task of ``spec`` or else picks something."""
    cheat = Cheat(**options)
    roller = Roller(cheat, Encoder(), (24, 24))
    trial = build(spec)
    cheat.env, cheat.task = roller.env, trial.task or Task('pick', trial.scene.objects[0].name)
    return roller, cheat


def run(spec, **options):
    roller, cheat = cheating(spec, **options)
    return roller.run(spec), cheat


def test_the_expert_as_a_policy_succeeds_and_stops():
    episode, cheat = run(Spec('known', 'point', 3))
    assert episode.success
    assert episode.stopped
    assert not episode.false_stop
    assert 0.0 < episode.seconds < 8.0
    assert episode.path_m > 0.0
    assert episode.film is None
    assert cheat.seen[0].images.shape == (1, 24, 24, 3)


def test_where_it_looks_is_counted_until_it_touches():
    episode, cheat = run(Spec('known', 'pick', 3))
    assert episode.success
    assert 5 < episode.on_object == episode.frames < len(cheat.seen)


def test_a_command_that_the_command_node_refuses_is_not_obeyed():
    spec = Spec('known', 'point', 3)
    _, cheat = cheating(spec)
    roller = Roller(cheat, Encoder(fits=False), (24, 24))
    cheat.env = roller.env
    episode = roller.run(spec)
    assert not episode.success
    assert cheat.seen == []
    assert roller.refusal(build(spec)) == 1.0


def test_motion_stays_within_the_limits():
    episode, _ = run(Spec('known', 'push', 3))
    assert 0.1 < episode.motion.speed_m_s <= 0.25 + 1e-6
    assert episode.motion.outside_m == 0.0


def test_success_counts_even_if_the_policy_does_not_say_so():
    episode, _ = run(Spec('known', 'point', 3), done=False)
    assert episode.success
    assert not episode.stopped


def test_saying_done_too_early_is_a_failure_and_is_filmed():
    episode, _ = run(Spec('known', 'point', 3), done=True)
    assert not episode.success
    assert episode.false_stop
    assert episode.seconds < 1.0
    assert len(episode.film.camera) == len(episode.film.attention) == 6
    assert 'task done' in episode.film.outcome


def test_a_refused_command_moves_nothing_and_says_why():
    episode, _ = run(Spec('refuse', 'absent object', 0), refusal=0.9)
    assert episode.success
    assert episode.path_m < 0.001
    assert episode.reason == 'object_not_seen'


def test_an_empty_command_never_reaches_the_policy():
    episode, cheat = run(Spec('refuse', 'empty', 0))
    assert episode.success
    assert cheat.seen == []


def test_obeying_what_should_be_refused_is_a_failure():
    episode, _ = run(Spec('refuse', 'nonsense', 0))
    assert not episode.success


def test_a_dropped_camera_shows_the_policy_nothing_for_a_while():
    _, cheat = run(Spec('disturbed', 'camera dropped', 1))
    stamps_s = np.diff([observation.stamp_ns for observation in cheat.seen]) * 1e-9
    assert stamps_s.max() == pytest.approx(0.6)


def test_the_refusal_at_the_first_look_is_that_of_all_reasons():
    spec = Spec('known', 'pick', 0)
    roller, _ = cheating(spec, refusal=0.7)
    assert roller.refusal(build(spec)) == pytest.approx(0.7)
