"""What runs on a GPU, tried where there may be none: the processor stands in for it."""

from fresh_policy import write_fresh_policy
import pytest
import torch

from vla_ros.models.contract import example_inputs
from vla_ros.pipeline.backends.devices import (
    candidates,
    CPU,
    fastest,
    GPU,
    GPU_BF16,
    OnDevice,
    TOLERANCE,
)
from vla_ros.pipeline.policy import load_policy


@pytest.fixture(scope='module')
def policy(tmp_path_factory):
    torch.set_num_threads(1)
    return load_policy(write_fresh_policy(tmp_path_factory.mktemp('policy') / 'fresh.pt'))


@pytest.fixture(scope='module')
def inputs(policy):
    return example_inputs(policy.manifest, batch=2)


def raises(*inputs):
    raise RuntimeError('tensors on two devices')


class Turns:
    """A clock by which the ways, in the order in which they are timed, take what is given."""

    def __init__(self, *taken_s):
        self.steps = [step for s in taken_s for step in [0.0, s] * 9]
        self.now = 0.0

    def __call__(self):
        self.now += self.steps.pop(0)
        return self.now


def test_without_a_gpu_there_is_the_processor_alone(policy):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU here')
    assert list(candidates(policy.module)) == [CPU]
    assert policy.device == CPU


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 0.0), (torch.bfloat16, 0.3)])
def test_elsewhere_it_returns_the_same_in_the_same_type(policy, inputs, dtype, tolerance):
    with torch.no_grad():
        here, there = policy.module(*inputs), OnDevice(policy.module, 'cpu', dtype)(*inputs)
    assert all(value.dtype == torch.float32 for value in there)
    assert float((here.actions - there.actions).abs().max()) <= tolerance


def test_the_fastest_way_is_taken(policy, inputs):
    ways = {CPU: policy.module, GPU: policy.module, GPU_BF16: policy.module}
    assert fastest(ways, inputs, Turns(3.0, 2.0, 1.0)) == GPU_BF16
    assert fastest(ways, inputs, Turns(3.0, 1.0, 2.0)) == GPU
    assert fastest(ways, inputs, Turns(1.0, 2.0, 3.0)) == CPU


def test_what_computes_something_else_is_not_taken_however_fast(policy, inputs):
    def other(*inputs):
        output = policy.module(*inputs)
        return output._replace(actions=output.actions + 2 * TOLERANCE)

    assert fastest({CPU: policy.module, GPU: other}, inputs, Turns(3.0)) == CPU


def test_what_does_not_run_there_stays_here(policy, inputs):
    assert fastest({CPU: policy.module, GPU: raises}, inputs, Turns(3.0)) == CPU
