"""A transformer layer with its norms in front (Xiong et al. 2020)."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.layers.attention import MultiHeadAttention


class PreNormBlock(nn.Module):
    """Self-attention, then a feed-forward net, each added to its input: (b, n, width)."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (b, n, width); ``mask`` (b, n) bool is true where there is a token."""
        y = self.attention_norm(x)
        x = x + self.attention(y, y, mask)[0]
        return x + self.feed_forward(self.norm(x))
