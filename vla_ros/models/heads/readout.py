"""Learned queries that read what a head needs from any number of tokens (Lee et al. 2019)."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.layers.attention import MultiHeadAttention


class Readout(nn.Module):
    """Tokens (b, n, width) to one vector a query: (b, queries, width)."""

    def __init__(self, width: int, heads: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.1)
        self.token_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (b, queries, width); ``mask`` (b, n) bool is true where there is a token."""
        tokens = self.token_norm(tokens)
        queries = self.queries.expand(tokens.shape[0], -1, -1)  # (b, q, width)
        return self.norm(queries + self.attention(queries, tokens, mask)[0])
