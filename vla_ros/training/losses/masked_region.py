"""Hidden regions of an image are to be guessed from the rest: UNITER (Chen et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_ros.training.losses.rows import mean_known


def mask_regions(
    regions: Tensor, there: Tensor, random: torch.Generator, share: float = 0.15
) -> tuple[Tensor, Tensor]:
    """
    Return regions (b, c, d), zeros where hidden, and which of them are: (b, c) bool.

    Only those that are ``there`` (b, c) bool are hidden.
    """
    hidden = (torch.rand(there.shape, generator=random) < share) & there
    return regions.masked_fill(hidden[..., None], 0.0), hidden


def region_feature_loss(guessed: Tensor, regions: Tensor, hidden: Tensor) -> Tensor:
    """Return the squared distance of guessed and true regions (b, c, d), where hidden (b, c)."""
    return mean_known((guessed - regions).square().sum(dim=-1), hidden)


def region_class_loss(logits: Tensor, chances: Tensor, hidden: Tensor) -> Tensor:
    """
    Return the divergence KL(chances || guess), where hidden (b, c).

    ``logits`` (b, c, k) are guessed; ``chances`` (b, c, k), of what is to be seen there, sum to 1.
    """
    surprise = torch.xlogy(chances, chances) - chances * logits.log_softmax(dim=-1)
    return mean_known(surprise.sum(dim=-1), hidden)
