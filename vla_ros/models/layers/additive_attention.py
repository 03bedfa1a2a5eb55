"""Additive attention (Bahdanau et al. 2015): a small net scores each pair, not a product."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.layers.attention import attention_weights, width_per_head


class AdditiveAttention(nn.Module):
    """
    Queries (b, q, width) attend to context (b, n, context_width), as ``MultiHeadAttention``.

    Every head scores query and context by v tanh(W query + U context). That holds b * q * n *
    width numbers in memory: for few queries.
    """

    def __init__(
        self, width: int, heads: int, context_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = heads
        per_head = width_per_head(width, heads)
        context_width = width if context_width is None else context_width
        self.to_query = nn.Linear(width, width)
        self.to_key = nn.Linear(context_width, width, bias=False)
        self.to_score = nn.Parameter(torch.randn(heads, per_head) * per_head**-0.5)
        self.to_value = nn.Linear(context_width, width)
        self.to_out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, query: Tensor, context: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Return the attended values (b, q, width) and the weights (b, h, q, n).

        ``mask`` (b, n) or (b, q, n) bool is true where there is context. Where there is none at
        all, the weights are zero rather than NaN.
        """
        queries = self.to_query(query).unflatten(-1, [self.heads, -1])  # (b, q, h, d / h)
        keys = self.to_key(context).unflatten(-1, [self.heads, -1])  # (b, n, h, d / h)
        values = self.to_value(context).unflatten(-1, [self.heads, -1]).transpose(1, 2)
        pairs = torch.tanh(queries[:, :, None] + keys[:, None])  # (b, q, n, h, d / h)
        scores = (pairs * self.to_score).sum(dim=-1).permute(0, 3, 1, 2).float()  # (b, h, q, n)
        weights = attention_weights(scores, mask)
        mixed = self.dropout(weights).to(values.dtype) @ values  # (b, h, q, d / h)
        return self.to_out(mixed.transpose(1, 2).flatten(2)), weights
