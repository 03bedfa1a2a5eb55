"""The feed-forward net of a transformer layer (Vaswani et al. 2017), with GELU."""

from __future__ import annotations

from torch import nn


class FeedForward(nn.Sequential):
    """Each token on its own: (..., width) -> (..., width) by way of ``hidden`` units."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )
