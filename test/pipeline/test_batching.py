from dataclasses import replace

import numpy as np
import pytest
from tiny_policy import TinyPolicy, write_policy
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.batching import infer_each
from vla_ros.pipeline.policy import load_policy


class Falls(TinyPolicy):
    """Closes the gripper by the state's, each robot its own, and cannot do with a 1 there."""

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        assert bool((state[:, 7] < 1.0).all()), 'it has no hand left'
        b, n = text_mask.shape
        return PolicyOutput(
            actions=state[:, None, :].expand(b, 3, 8),
            termination=torch.full((b, 3), 0.25),
            task_logits=torch.zeros(b, 2),
            attention=text_mask[:, :, None, None].expand(b, n, 2, 3) / 6.0,
        )


class Counting:
    """The policy, and the sizes of the batches it was given."""

    def __init__(self, policy):
        self.policy = policy
        self.sizes = []
        self.check, self.reset = policy.check, policy.reset

    def infer(self, observation):
        return self.infer_all([observation])[0]

    def infer_all(self, observations):
        self.sizes.append(len(observations))
        return self.policy.infer_all(observations)


@pytest.fixture
def policy(tmp_path):
    # The check at load has ones as state.
    path = write_policy(tmp_path / 'tiny.pt')
    loaded = load_policy(path)
    loaded.module = Falls()
    return Counting(loaded)


def observation(gripper, tokens=2):
    return Observation(
        stamp_ns=int(gripper * 100),
        images=np.zeros((1, 8, 12, 3), np.uint8),
        state=np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0, gripper], np.float32),
        command=EncodedCommand('up', 9, np.full((tokens, 5), 0.1, np.float32)),
    )


def grippers(results):
    return [
        str(r) if isinstance(r, Exception) else round(r.chunk.column('gripper')[0], 3)
        for r in results
    ]


def test_all_robots_go_in_one_pass_and_each_gets_its_own(policy):
    results = infer_each(policy, [observation(g) for g in (0.1, 0.2, 0.3)])
    assert grippers(results) == [0.1, 0.2, 0.3]
    assert [r.chunk.stamp_ns for r in results] == [10, 20, 30]
    assert policy.sizes == [3]


def test_each_gets_the_attention_of_its_own_words(policy):
    results = infer_each(policy, [observation(0.1, tokens=1), observation(0.2, tokens=3)])
    assert [r.attention.shape for r in results] == [(1, 2, 3), (3, 2, 3)]


def test_what_is_of_a_wrong_size_is_told_and_left_out(policy):
    wrong = replace(observation(0.2), images=np.zeros((1, 9, 12, 3), np.uint8))
    results = infer_each(policy, [observation(0.1), wrong, observation(0.3)])
    assert isinstance(results[1], ConfigurationError)
    assert 'image_height' in str(results[1])
    assert grippers([results[0], results[2]]) == [0.1, 0.3]
    assert policy.sizes == [2]


def test_what_fails_the_model_fails_nobody_else(policy):
    results = infer_each(policy, [observation(g) for g in (0.1, 1.0, 0.3)])
    assert grippers([results[0], results[2]]) == [0.1, 0.3]
    assert 'it has no hand left' in str(results[1])
    assert policy.sizes == [3, 1, 1, 1]


def test_one_robot_costs_one_pass(policy):
    assert grippers(infer_each(policy, [observation(0.4)])) == [0.4]
    assert policy.sizes == [1]
