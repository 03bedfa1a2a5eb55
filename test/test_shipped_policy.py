"""The policy that comes with the package, as it will be run."""

import numpy as np
import pytest

from vla_ros.interfaces import EncodedCommand, Observation, REFUSAL_CHANNELS, STATE_CHANNELS
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.sim.environment import TabletopEnv


@pytest.fixture(scope='module')
def encoder():
    return load_text_encoder()


@pytest.fixture(scope='module')
def refusal(encoder):
    """How sure the policy is that it will not do what a text says."""
    policy = load_policy(shipped_policy_path())
    env = TabletopEnv(96, seed=1)
    state = np.append(env.end_effector.vector(), env.gripper_closing).astype(np.float32)
    assert len(state) == len(STATE_CHANNELS)

    def ask(text: str) -> float:
        command = EncodedCommand(text, 1, encoder.encode(text))
        result = policy.infer(Observation(0, env.render()[None], state, command))
        return sum(float(result.chunk.column(channel)[0]) for channel in REFUSAL_CHANNELS)

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
def test_a_plain_command_is_understood(refusal, text):
    assert refusal(text) < 0.1


@pytest.mark.parametrize(
    'text',
    ['what is the weather like today?', 'asdf qwerty', 'hello', 'pick up the zorblax', 'the dog'],
)
def test_what_is_no_task_is_not_understood(refusal, text):
    assert refusal(text) > 0.5
