"""
A small text encoder to train from scratch (Vaswani et al. 2017): embedding, sinusoid, layers.

Under the contract of text encoders: token ids (b, n) become features (b, n, d).
"""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.layers.block import PreNormBlock
from vla_ros.models.layers.position import SinusoidPosition


class TextTransformer(nn.Module):
    """Token ids (b, n) int64 and mask (b, n) bool to features (b, n, width), zeros as padding."""

    def __init__(
        self, vocabulary: int, width: int, heads: int, layers: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.scale = width**0.5
        self.tokens = nn.Embedding(vocabulary, width)
        # Times the scale, tokens are then as large as their positions.
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        self.position = SinusoidPosition(width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([PreNormBlock(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        x = self.dropout(self.position(self.tokens(token_ids) * self.scale))
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) * mask[:, :, None]
