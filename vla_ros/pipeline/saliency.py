"""
Saliency: how much the action would change if the picture, or the command, were a little different.

Unlike attention, which says what a policy reads, this says what its answer hangs on. It works for
every differentiable policy, through the same TorchScript file, at about the cost of three more
inferences (K. Simonyan et al., "Deep inside convolutional networks", 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import Observation, POSE_CHANNELS
from vla_ros.pipeline.policy import TorchPolicy


def gradient_saliency(policy: TorchPolicy, observation: Observation) -> NDArray[np.float32]:
    """
    Return planes (n, gh, gw) that sum to one, plane i being of token i, as attention is.

    Places weigh by the squared gradient of the last position of the chunk by their pixels: their
    share of the error that a little noise in every pixel would cause. Words weigh by that of the
    likeliest task's probability by their tokens. The two are found apart: every plane is the same
    map, times the weight of its word. Raises ConfigurationError for a policy whose position has no
    gradient by the image, as it has on no backend but TorchScript.
    """
    if policy.manifest.backend != 'torchscript':
        raise ConfigurationError(
            f'policy {policy.manifest.name}: {policy.manifest.backend} has no gradients, so there '
            'is no saliency; draw its attention instead, or run it as TorchScript'
        )
    image, text, mask, state = policy.inputs(observation)
    pixels, tokens = image.float().requires_grad_(), text.requires_grad_()
    with torch.enable_grad():
        output = policy.module(pixels, tokens, mask, state)
        columns = [policy.manifest.action_names.index(name) for name in POSE_CHANNELS[:3]]
        position = output.actions[0, -1, columns]
        if not position.requires_grad:
            raise ConfigurationError(
                f'policy {policy.manifest.name}: its position has no gradient by the image, so '
                'there is no saliency; draw its attention instead'
            )
        by_pixel = _squares([_gradient(value, pixels) for value in position])[0]
        likeliest = output.task_logits[0].log_softmax(dim=0).max()
        by_token = _squares([_gradient(likeliest, tokens)])[0].sum(dim=-1)
    grid = policy.manifest.grid
    # (c, 3, h, w) to what all cameras and colours of a cell have together.
    by_cell = torch.nn.functional.adaptive_avg_pool2d(by_pixel.sum(dim=(0, 1))[None], grid)[0]
    n = len(observation.command.tokens)
    planes = _shares(by_token[:n])[:, None, None] * _shares(by_cell)
    return planes.numpy()


def _gradient(value: Tensor, of: Tensor) -> Tensor:
    """Return d value / d of, zeros where the one does not hang on the other."""
    if not value.requires_grad:
        return torch.zeros_like(of)
    (gradient,) = torch.autograd.grad(value, of, retain_graph=True, allow_unused=True)
    return torch.zeros_like(of) if gradient is None else gradient


def _squares(gradients: list[Tensor]) -> Tensor:
    return torch.stack(gradients).square().sum(dim=0)


def _shares(weights: Tensor) -> Tensor:
    """Return finite ``weights`` that sum to one; without any they are even."""
    finite = torch.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0)
    total = finite.sum()
    return finite / total if bool(total > 0.0) else torch.full_like(finite, 1.0 / finite.numel())
