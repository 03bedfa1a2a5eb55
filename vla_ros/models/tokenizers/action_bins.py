"""
Actions as tokens: each channel falls into one of its bins (RT-2, Brohan et al. 2023).

n bins have n + 1 edges and n centres, so a value inside comes back at most half a bin away.
"""

from collections.abc import Sequence

import torch
from torch import nn, Tensor


class ActionBins(nn.Module):
    """Bins between ``edges`` (c, n + 1), which rise along each of the c channels."""

    edges: Tensor

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        if edges.dim() != 2 or edges.shape[1] < 2 or not bool((edges.diff(dim=1) > 0.0).all()):
            raise ValueError(f'edges of bins are (channels, bins + 1) and rise, got {edges}')
        self.register_buffer('edges', edges)

    @staticmethod
    def uniform(low: Sequence[float], high: Sequence[float], bins: int) -> 'ActionBins':
        """Return bins of one width from ``low`` to ``high``, a number for each channel."""
        part = torch.linspace(0.0, 1.0, bins + 1, dtype=torch.float64)
        lowest, highest = torch.tensor([low, high], dtype=torch.float64)[:, :, None]
        return ActionBins((lowest + (highest - lowest) * part).float())

    def forward(self, values: Tensor) -> Tensor:
        """Return the bins (..., c) int64 of values (..., c); beyond the edges the outermost."""
        flat = values.flatten(0, -2).transpose(0, 1).contiguous()  # (c, rows)
        inner = self.edges[:, 1:-1].contiguous()
        bins = torch.searchsorted(inner, flat, right=True)
        return bins.transpose(0, 1).reshape(values.shape)

    @torch.jit.export
    def decode(self, bins: Tensor) -> Tensor:
        """Return the centres (..., c) of bins (..., c) int64."""
        centres = self.centres()
        channel = torch.arange(centres.shape[0], device=bins.device)
        return centres[channel, bins]

    @torch.jit.export
    def centres(self) -> Tensor:
        """Return the centres (c, n) of all bins."""
        return (self.edges[:, 1:] + self.edges[:, :-1]) / 2.0
