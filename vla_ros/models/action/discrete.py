"""Actions as bins, as tokens: one a number, as in RT-2 (Brohan et al. 2023)."""

import torch
from torch import nn, Tensor

from vla_ros.models.layers.position import SinusoidPosition


class DiscreteActionEncoder(nn.Module):
    """
    Bins (b, k, a) int64, each in 0 .. bins - 1, to tokens (b, k * a, width), row by row.

    Each channel has an embedding of its own: bin 3 of a height is not bin 3 of a gripper.
    """

    offset: Tensor

    def __init__(self, channels: int, bins: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(channels * bins, width)
        self.register_buffer('offset', torch.arange(channels) * bins, persistent=False)
        self.position = SinusoidPosition(width)

    def forward(self, bins: Tensor) -> Tensor:
        return self.position(self.embed(bins + self.offset).flatten(1, 2))
