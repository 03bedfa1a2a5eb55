"""Learned queries that read what a head needs from any number of tokens (Lee et al. 2019)."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.layers.pool import AttentionPool


class Readout(nn.Module):
    """Tokens (b, n, width) to one vector a query: (b, queries, width)."""

    def __init__(self, width: int, heads: int, queries: int) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(width)
        self.pool = AttentionPool(width, heads, queries)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (b, queries, width); ``mask`` (b, n) bool is true where there is a token."""
        read, _ = self.pool(self.token_norm(tokens), mask)  # (b, q, width)
        return self.norm(self.pool.queries + read)
