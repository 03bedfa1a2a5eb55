"""Several losses as one: by weights that are given, or that are learned (Kendall et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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

    The learned variance of each tends to the loss itself, so that none drowns the others.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({name: torch.zeros(()) for name in names})

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the sum () of loss / (2 variance) + log(variance) / 2."""
        terms = []
        for name, loss in losses.items():
            log_variance = self.log_variance[name]
            terms.append((torch.exp(-log_variance) * loss + log_variance) / 2.0)
        return torch.stack(terms).sum()
