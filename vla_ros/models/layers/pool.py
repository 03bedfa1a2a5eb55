"""Pooling by attention (Lee et al. 2019): learned queries gather what a set of tokens says."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.layers.attention import MultiHeadAttention


class AttentionPool(nn.Module):
    """Tokens (b, n, width) to ``queries`` summaries (b, q, width)."""

    def __init__(self, width: int, heads: int, queries: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.1)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (b, q, width) and weights (b, h, q, n); ``mask`` (b, n) bool, true for tokens."""
        return self.attention(self.queries.expand(x.shape[0], -1, -1), x, mask)
