"""What a policy is without a modality, and which inputs its answers hang on."""

import numpy as np
import pytest
from tiny_policy import TinyPolicy, write_policy
import torch
from torch import nn, Tensor

from vla_ros.evaluation.balance import attributions
from vla_ros.evaluation.masking import MODALITIES, without
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.policy import load_policy

OBSERVATION = Observation(
    stamp_ns=7,
    images=np.full((1, 8, 12, 3), 51, np.uint8),
    state=np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0, 0.0], np.float32),
    command=EncodedCommand('up', 9, np.full((3, 5), 0.1, np.float32)),
)


class Answers(nn.Module):
    """Goes up by what it sees and along by what it feels; its task hangs on the text."""

    def __init__(self):
        super().__init__()
        self.tiny = TinyPolicy()

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        out = self.tiny(image, text, text_mask, state)
        x, y = state[:, 0], state[:, 1]
        z = image[:, 0, 0, 0, 0].float() / 255.0
        place = torch.cat([torch.stack([x, y, z], dim=-1), out.actions[:, 0, 3:]], dim=-1)
        logits = torch.stack([text.sum(dim=(1, 2)), torch.zeros(text.shape[0])], dim=1)
        actions = place[:, None].expand(-1, 3, -1)
        return PolicyOutput(actions, out.termination, logits, out.attention)


@pytest.fixture
def load(tmp_path):
    torch.set_num_threads(1)
    return lambda module: load_policy(write_policy(tmp_path / 'tiny.pt', module))


def test_each_answer_counts_alike_and_goes_to_what_it_hangs_on(load):
    found = attributions(load(Answers()), OBSERVATION)
    assert list(found) == list(MODALITIES)
    shares = {name: values.sum() / 4.0 for name, values in found.items()}
    # x and y of the state, z of the picture, the task of the text.
    assert shares == pytest.approx({'vision': 0.25, 'text': 0.25, 'state': 0.5})


def test_an_answer_that_hangs_on_nothing_goes_to_none(load):
    found = attributions(load(TinyPolicy()), OBSERVATION)
    assert sum(values[3].sum() for values in found.values()) == 0.0
    assert found['state'][0].sum() == pytest.approx(1.0)


@pytest.mark.parametrize('modality', MODALITIES)
def test_what_is_masked_changes_nothing_and_the_rest_does(load, modality):
    policy = load(Answers())
    masked = without(policy, modality)

    def answer(policy, observation):
        result = policy.infer(observation)
        return np.append(result.chunk.values[0, :3], result.task_probabilities)

    others = {
        'vision': Observation(7, OBSERVATION.images + 9, OBSERVATION.state, OBSERVATION.command),
        'text': Observation(
            7,
            OBSERVATION.images,
            OBSERVATION.state,
            EncodedCommand('down', 9, np.full((2, 5), 0.4, np.float32)),
        ),
        'state': Observation(7, OBSERVATION.images, OBSERVATION.state + 0.05, OBSERVATION.command),
    }
    for name, other in others.items():
        same = np.array_equal(answer(masked, OBSERVATION), answer(masked, other))
        assert same == (name == modality)
        assert not np.array_equal(answer(policy, OBSERVATION), answer(policy, other))


def test_an_unknown_modality_is_told(load):
    with pytest.raises(ValueError, match="no modality 'touch'; valid: vision, text, state"):
        without(load(TinyPolicy()), 'touch')
