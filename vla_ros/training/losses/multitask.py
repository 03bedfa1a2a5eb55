"""Several losses as one: by weights that are given, or that are learned (Kendall et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
import math

import torch
from torch import nn, Tensor


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the sum () of losses by their weights; raises ValueError unless names agree."""
    if losses.keys() != weights.keys():
        raise ValueError(f'losses {sorted(losses)} have weights {sorted(weights)}')
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


class UncertaintyWeights(nn.Module):
    """
    Losses by name to their sum, each in units of how large it stays.

    The learned variance of each tends to the loss itself. ``scales`` say how large each is before
    anything is learned: a loss in other units would drown the others until then. Raises ValueError
    for one that is not above zero, or not finite.
    """

    def __init__(self, scales: Mapping[str, float]) -> None:
        super().__init__()
        if wrong := [name for name, scale in scales.items() if not 0.0 < scale < math.inf]:
            raise ValueError(f'scale of {wrong[0]}: got {scales[wrong[0]]}; valid: over 0, finite')
        self.log_variance = nn.ParameterDict(
            {name: torch.tensor(math.log(scale)) for name, scale in scales.items()}
        )

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the sum () of loss / (2 variance) + log(variance) / 2."""
        terms = []
        for name, loss in losses.items():
            log_variance = self.log_variance[name]
            terms.append((torch.exp(-log_variance) * loss + log_variance) / 2.0)
        return torch.stack(terms).sum()
