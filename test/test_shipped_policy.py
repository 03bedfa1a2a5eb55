"""The policy that comes with the package, as it will be run."""

import numpy as np
import pytest

from vla_ros.interfaces import (
    EncodedCommand,
    Observation,
    REFUSAL_CHANNELS,
    REFUSALS,
    STATE_CHANNELS,
)
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import OBJECT_NAMES
from vla_ros.sim.tasks import KINDS, possible_tasks
from vla_ros.training.grammar import plain_sentence


@pytest.fixture(scope='module')
def encoder():
    return load_text_encoder()


@pytest.fixture(scope='module')
def env():
    return TabletopEnv(96, seed=1)


@pytest.fixture(scope='module')
def refusals(encoder, env):
    """How sure the policy is of each reason not to do what a text says."""
    policy = load_policy(shipped_policy_path())
    state = np.append(env.end_effector.vector(), env.gripper_closing).astype(np.float32)
    assert len(state) == len(STATE_CHANNELS)

    def ask(text: str) -> dict[str, float]:
        command = EncodedCommand(text, 1, encoder.encode(text))
        chunk = policy.infer(Observation(0, env.render()[None], state, command)).chunk
        values = (float(chunk.column(channel)[0]) for channel in REFUSAL_CHANNELS)
        return dict(zip(REFUSALS, values, strict=True))

    return ask


def test_the_manifest_says_how_the_policy_came_about():
    manifest = read_manifest(shipped_policy_path())
    for word in ('seed', 'frames', 'revision'):
        assert word in manifest.training_data


def test_the_camera_gives_by_default_what_the_policy_wants():
    params = pytest.importorskip('vla_ros.nodes.params')
    manifest = read_manifest(shipped_policy_path())
    defaults = params.CameraParams()
    assert (defaults.image_width, defaults.image_height) == (
        manifest.image_width,
        manifest.image_height,
    )


def test_the_file_is_small():
    assert shipped_policy_path().stat().st_size <= 10_000_000


def test_the_policy_was_trained_with_this_text_encoder(encoder):
    assert read_manifest(shipped_policy_path()).text_encoder.sha256 == encoder.sha256


@pytest.mark.parametrize(
    'text',
    [
        'pick up the red block',
        'point at the blue ball',
        'push the green cylinder into the yellow zone',
        'put the red block in the green zone',
        'grab the purple ball',
    ],
)
def test_a_plain_command_is_understood_whatever_is_there(refusals, text):
    refused = refusals(text)
    assert refused['none'] + refused['unclear'] < 0.1  # it would be refused from 0.5


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_there_is_not_refused(refusals, env, kind):
    task = next(task for task in possible_tasks(env.scene) if task.kind == kind)
    assert sum(refusals(plain_sentence(task)).values()) < 0.5


def test_what_is_not_there_is_absent(refusals, env):
    here = {thing.name for thing in env.scene.objects}
    absent = [
        refusals(f'pick up the {name}')['absent'] for name in OBJECT_NAMES if name not in here
    ]
    assert np.mean(np.array(absent) > 0.5) > 0.8


@pytest.mark.parametrize(
    'text',
    ['what is the weather like today?', 'asdf qwerty', 'hello', 'pick up the zorblax', 'the dog'],
)
def test_what_is_no_task_is_not_understood(refusals, text):
    refused = refusals(text)
    assert refused['none'] + refused['unclear'] > 0.5


@pytest.mark.parametrize('text', ['pick it up', 'push the red block', 'put the blue ball away'])
def test_what_nobody_can_tell_is_unclear(refusals, text):
    assert refusals(text)['unclear'] > 0.5
