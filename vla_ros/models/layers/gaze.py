"""
Places on the table that the words look at: attention as a measurement, whatever the fusion.

A learned question to each word tells which of them count, for as many looks as there are; the
place of a look is the expected coordinate under the attention of its words (Levine et al. 2016).
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.layers.pointing import neighbours, point_at


class Looks(NamedTuple):
    """``points`` (b, looks, 2) m on the table; ``tokens`` (b, looks, width) of what is there."""

    points: Tensor
    tokens: Tensor


class Gaze(nn.Module):
    """
    Attention (b, n, c) of words (b, n, width) over cells (b, c, width) to Looks.

    ``xy`` (c, 2) m is where on the table the middle of each of ``rows`` times ``columns`` cells
    looks; what a cell shows may mend that by ``cell_m``.
    """

    xy: Tensor
    near: Tensor

    def __init__(
        self, width: int, looks: int, xy: Tensor, rows: int, columns: int, cell_m: float = 0.04
    ) -> None:
        super().__init__()
        self.cell_m = cell_m
        self.ask = nn.Linear(width, looks)
        self.mend = nn.Linear(width, 2)
        self.token = nn.Linear(width, width)
        self.register_buffer('xy', xy, persistent=False)
        self.register_buffer('near', neighbours(rows, columns, reach=1), persistent=False)

    def forward(self, attention: Tensor, words: Tensor, there: Tensor, cells: Tensor) -> Looks:
        """Return where the words look that are ``there`` (b, n) bool."""
        asked = self.ask(words).float().masked_fill(~there[:, :, None], -1e9)
        counts = asked.softmax(dim=1)  # (b, n, looks)
        seen = (counts[:, :, :, None] * attention.float()[:, :, None]).sum(dim=1)  # (b, looks, c)
        xy = self.xy + self.cell_m * torch.tanh(self.mend(cells).float())  # (b, c, 2)
        near = None if self.training else self.near
        scores = seen.clamp(min=1e-6).log()
        _, points, features = point_at(scores, xy, cells.float(), near)
        looks = [attention.shape[0], -1]
        return Looks(points.unflatten(0, looks), self.token(features.unflatten(0, looks)))
