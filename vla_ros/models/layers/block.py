"""Transformer layers with their norms in front (Xiong et al. 2020)."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.layers.attention import MultiHeadAttention
from vla_ros.models.layers.feed_forward import FeedForward


class PreNormBlock(nn.Module):
    """
    Self-attention, then a feed-forward net, each added to its input: (b, n, width).

    The feed-forward net is ``expansion`` times as wide.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, expansion: int = 2) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, expansion * width, dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """
        Return (b, n, width); ``mask`` bool is true where there is a token.

        It is (b, n), or (b, n, n) where each token (row) sees others (columns), as in a causal
        sequence.
        """
        y = self.attention_norm(x)
        x = x + self.attention.attend(y, y, mask)
        return x + self.feed_forward(self.norm(x))

    def looking(self, x: Tensor, mask: Tensor, first: int, end: int) -> tuple[Tensor, Tensor]:
        """Return what ``forward`` does, and the weights of some tokens (b, h, end - first, n)."""
        y = self.attention_norm(x)
        attended, weights = self.attention.look(y, y, mask, first, end)
        x = x + attended
        return x + self.feed_forward(self.norm(x)), weights


class CrossBlock(nn.Module):
    """
    Queries (b, q, width) attend to a context (b, n, width); then a feed-forward net.

    Each is added to its input. The feed-forward net is ``expansion`` times as wide.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, expansion: int = 2) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(width)
        self.context_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, expansion * width, dropout)

    def forward(
        self, x: Tensor, context: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (b, q, width) and the weights (b, h, q, n); ``mask`` as for the attention."""
        attended, weights = self.attention(self.query_norm(x), self.context_norm(context), mask)
        x = x + attended
        return x + self.feed_forward(self.norm(x)), weights
