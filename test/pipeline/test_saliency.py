"""What a policy's action hangs on, by its gradient."""

import numpy as np
import pytest
from tiny_policy import TinyPolicy, write_policy
import torch
from torch import nn, Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.saliency import gradient_saliency


class LooksTopRight(nn.Module):
    """Goes where the top right corner is red; its task hangs on the second token alone."""

    def __init__(self):
        super().__init__()
        self.tiny = TinyPolicy()

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        out = self.tiny(image, text, text_mask, state)
        red = image[:, 0, 0, :2, 9:].float().mean(dim=(1, 2)) / 255.0
        actions = out.actions + red[:, None, None]
        logits = torch.stack([text[:, 1].sum(dim=1), torch.zeros(text.shape[0])], dim=1)
        return PolicyOutput(actions, out.termination, logits, out.attention)


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.tiny = TinyPolicy()

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        out = self.tiny(image, text, text_mask, state)
        return PolicyOutput(out.actions.detach(), out.termination, out.task_logits, out.attention)


def saliency(tmp_path, module, tokens=3):
    torch.set_num_threads(1)
    policy = load_policy(write_policy(tmp_path / 'tiny.pt', module))
    command = EncodedCommand('up', 9, np.full((tokens, 5), 0.1, np.float32))
    images = np.full((1, 8, 12, 3), 51, np.uint8)
    state = np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0, 0.0], np.float32)
    return gradient_saliency(policy, Observation(7, images, state, command))


def test_the_cell_on_which_the_action_hangs_has_it_all(tmp_path):
    places = saliency(tmp_path, LooksTopRight()).sum(axis=0)
    assert places == pytest.approx(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))


def test_the_word_on_which_the_task_hangs_has_it_all(tmp_path):
    words = saliency(tmp_path, LooksTopRight()).sum(axis=(1, 2))
    assert words == pytest.approx([0.0, 1.0, 0.0])


def test_what_hangs_on_nothing_is_even(tmp_path):
    """The tiny policy's last position hangs on the text, its task on nothing."""
    planes = saliency(tmp_path, TinyPolicy())
    assert planes.shape == (3, 2, 3)
    assert planes == pytest.approx(1 / 18)


def test_a_policy_without_gradient_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match='draw its attention'):
        saliency(tmp_path, Blind())
