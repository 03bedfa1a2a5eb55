"""
Multi-head attention (Vaswani et al. 2017) that returns its weights.

Self-attention is the case ``context is query``.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor


class MultiHeadAttention(nn.Module):
    """Queries (b, q, width) attend to context (b, n, context_width)."""

    def __init__(
        self, width: int, heads: int, context_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f'width {width} does not divide into {heads} heads')
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        context_width = width if context_width is None else context_width
        self.to_query = nn.Linear(width, width)
        self.to_key = nn.Linear(context_width, width)
        self.to_value = nn.Linear(context_width, width)
        self.to_out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, query: Tensor, context: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Return the attended values (b, q, width) and the weights (b, h, q, n).

        ``mask`` (b, n) bool is true where there is context. Where there is none at all, the
        weights are zero rather than NaN.
        """
        b, q, width = query.shape
        n = context.shape[1]
        per_head = width // self.heads
        queries = self.to_query(query).view(b, q, self.heads, per_head).transpose(1, 2)
        keys = self.to_key(context).view(b, n, self.heads, per_head).transpose(1, 2)
        values = self.to_value(context).view(b, n, self.heads, per_head).transpose(1, 2)
        scores = (queries @ keys.transpose(2, 3)).float() * self.scale  # (b, h, q, n)
        if mask is None:
            weights = torch.softmax(scores, dim=-1)
        else:
            there = mask[:, None, None, :]
            weights = torch.softmax(scores.masked_fill(~there, -1e9), dim=-1) * there
        mixed = self.dropout(weights).to(values.dtype) @ values  # (b, h, q, d / h)
        return self.to_out(mixed.transpose(1, 2).reshape(b, q, width)), weights
