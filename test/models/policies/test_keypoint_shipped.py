"""The shipped file and the layers of today agree: its weights load, and mean the same."""

import pytest
import torch

from vla_ros.models.contract import example_inputs
from vla_ros.models.registry import build_policy
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.training.config import load_config
from vla_ros.training.run import policy_spec


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return torch.jit.load(shipped_policy_path())


@pytest.fixture(scope='module')
def today():
    config = load_config()
    width = read_manifest(shipped_policy_path()).text_width
    return build_policy('keypoint', policy_spec(config, width), config.options).eval()


def test_the_weights_have_the_same_names_and_shapes(shipped, today):
    ours = {name: tensor.shape for name, tensor in today.state_dict().items()}
    # TorchScript keeps the buffers that follow from the specification, too.
    theirs = {name: t.shape for name, t in shipped.state_dict().items() if name in ours}
    assert ours == theirs
    constants = shipped.state_dict().keys() - ours.keys()
    assert constants == {name for name, _ in today.named_buffers()} - ours.keys()


def test_with_its_weights_the_policy_computes_what_the_file_does(shipped, today):
    today.load_state_dict(shipped.state_dict(), strict=False)
    inputs = example_inputs(read_manifest(shipped_policy_path()), batch=2)
    with torch.inference_mode():
        for one, other in zip(today(*inputs), shipped(*inputs), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
