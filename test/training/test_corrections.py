from dataclasses import replace

import numpy as np
import pytest
from tiny_policy import write_policy
import torch

from vla_ros.interfaces import TERMINATION_CHANNEL
from vla_ros.pipeline.manifest import Camera, Normalisation, TextEncoderPin
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.tasks import possible_tasks
from vla_ros.training import corrections
from vla_ros.training.config import load_config
from vla_ros.training.corrections import PolicyActor

SIZE = 16
CONFIG = replace(load_config().demonstrations, image_size=SIZE)


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    torch.set_num_threads(1)
    encoder = load_text_encoder()
    pin = TextEncoderPin(encoder.id, encoder.sha256, encoder.width, MAX_TOKENS)
    camera = Camera('front', SIZE, SIZE, Normalisation((0.5,) * 3, (0.5,) * 3))
    path = tmp_path_factory.mktemp('policy') / 'tiny.pt'
    return write_policy(path, cameras=(camera,), text_encoder=pin)


@pytest.fixture(scope='module')
def env():
    return TabletopEnv(SIZE, seed=0)


def actor(path, seed=0):
    return PolicyActor(path, CONFIG, np.random.default_rng(seed))


def is_policys(chunk):
    """Return whether the policy made a chunk: the expert does not say when it ends."""
    return TERMINATION_CHANNEL in chunk.channels


def drive(made, env, task, monkeypatch, seconds):
    """Return whether the policy drove, at 10 Hz."""
    start_s, drove = env.time_s, []
    for i in range(int(10 * seconds)):
        monkeypatch.setattr(type(env), 'time_s', property(lambda _, t=start_s + 0.1 * i: t))
        drove.append(is_policys(made.chunk(env, task, i)))
    return np.array(drove)


def test_the_policy_drives_most_of_the_time_and_the_expert_relieves_it(path, env, monkeypatch):
    drove = drive(actor(path), env, possible_tasks(env.scene)[0], monkeypatch, 120.0)
    assert 0.6 < drove.mean() < 0.95


def test_whoever_drives_does_so_for_a_while(path, env, monkeypatch):
    drove = drive(actor(path), env, possible_tasks(env.scene)[0], monkeypatch, 60.0)
    changes = np.flatnonzero(np.diff(drove)) + 1
    assert len(changes) > 0
    assert np.diff(changes).min() >= 19


def test_the_policy_sees_the_picture_and_reads_one_sentence_a_task(path, env, monkeypatch):
    monkeypatch.setattr(corrections, '_EXPERT_SHARE', 0.0)
    made, tasks = actor(path), possible_tasks(env.scene)
    first, again = (made.chunk(env, tasks[0], i) for i in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    other = made.chunk(env, tasks[1], 2)
    assert not np.array_equal(first.values, other.values)
    assert (first.stamp_ns, again.stamp_ns, other.stamp_ns) == (0, 1, 2)


def test_the_same_numbers_drive_the_same_way(path, env):
    task = possible_tasks(env.scene)[0]
    one, other = (actor(path, seed=3).chunk(env, task, 0) for _ in range(2))
    np.testing.assert_array_equal(one.values, other.values)
