"""
Multi-head attention (Vaswani et al. 2017), with its weights or by the fast path without them.

Self-attention is the case ``context is query``.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor


def width_per_head(width: int, heads: int) -> int:
    """Return how wide each head is; raises ValueError if they cannot be equally wide."""
    if heads < 1 or width % heads:
        raise ValueError(f'width {width} does not divide into {heads} heads')
    return width // heads


def masked_softmax(scores: Tensor, there: Tensor) -> Tensor:
    """Return weights over the last dimension; zero, not NaN, where nothing is ``there``."""
    return torch.softmax(scores.masked_fill(~there, -1e9), dim=-1) * there


def attention_weights(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return weights (b, h, q, n) of scores; ``mask`` (b, n) or (b, q, n) as in attention."""
    if mask is None:
        return torch.softmax(scores, dim=-1)
    return masked_softmax(scores, over_heads(mask))


def over_heads(mask: Tensor) -> Tensor:
    """Return a mask (b, n) or (b, q, n) in the shape that goes with scores (b, h, q, n)."""
    return mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]


class MultiHeadAttention(nn.Module):
    """
    Queries (b, q, width) attend to context (b, n, context_width).

    A mask is bool, true where there is context: (b, n), or (b, q, n) where each query has one of
    its own, as in a causal sequence. A query without any context gets the bias of ``to_out``.
    """

    def __init__(
        self, width: int, heads: int, context_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = width_per_head(width, heads) ** -0.5
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

        Where there is no context at all, the weights are zero rather than NaN.
        """
        queries, keys, values = self._split(query, context)
        return self._weighed(queries, keys, values, mask)

    def attend(self, query: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the attended values (b, q, width) alone, from the kernel that keeps no scores."""
        queries, keys, values = self._split(query, context)
        return self._join(self._mixed(queries, keys, values, mask))

    def kept(self, context: Tensor) -> Tensor:
        """Return keys and values (b, n, 2 * width) of a context that is attended to repeatedly."""
        return torch.cat([self.to_key(context), self.to_value(context)], dim=-1)

    def attend_kept(self, query: Tensor, kept: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what ``attend`` does; ``kept`` is of the context."""
        keys, values = kept.chunk(2, dim=-1)
        queries = self._heads(self.to_query(query))
        return self._join(self._mixed(queries, self._heads(keys), self._heads(values), mask))

    def weigh_kept(
        self, query: Tensor, kept: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what ``forward`` does; ``kept`` is of the context."""
        keys, values = kept.chunk(2, dim=-1)
        queries = self._heads(self.to_query(query))
        return self._weighed(queries, self._heads(keys), self._heads(values), mask)

    def look(
        self, query: Tensor, context: Tensor, mask: Tensor, first: int, end: int
    ) -> tuple[Tensor, Tensor]:
        """
        Return what ``attend`` does, and the weights (b, h, end - first, n) of some queries.

        Of the many tokens of a picture nobody asks where they look. ``mask`` is (b, n) bool.
        """
        queries, keys, values = self._split(query, context)
        weights = self._weights(queries[:, :, first:end], keys, mask)
        return self._join(self._mixed(queries, keys, values, mask)), weights

    def _weighed(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        weights = self._weights(queries, keys, mask)
        mixed = self.dropout(weights).to(values.dtype) @ values  # (b, h, q, d / h)
        return self._join(mixed), weights

    def _weights(self, queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        scores = (queries @ keys.transpose(2, 3)).float() * self.scale  # (b, h, q, n)
        return attention_weights(scores, mask)

    def _mixed(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the values as the heads mix them, (b, h, q, d / h), by the fast kernel."""
        dropout = self.dropout.p if self.training else 0.0
        if mask is None:
            return nn.functional.scaled_dot_product_attention(
                queries, keys, values, dropout_p=dropout
            )
        there = over_heads(mask)
        some = there.any(dim=-1, keepdim=True)
        # Not every kernel gives zeros where nothing is there: look at all, then forget it.
        mixed = nn.functional.scaled_dot_product_attention(
            queries, keys, values, there | ~some, dropout
        )
        return mixed * some

    def _split(self, query: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (b, h, q, d / h), keys and values (b, h, n, d / h)."""
        return (
            self._heads(self.to_query(query)),
            self._heads(self.to_key(context)),
            self._heads(self.to_value(context)),
        )

    def _heads(self, x: Tensor) -> Tensor:
        """Return (b, h, n, d / h) of (b, n, d)."""
        b, n, width = x.shape
        return x.view(b, n, self.heads, width // self.heads).transpose(1, 2)

    def _join(self, mixed: Tensor) -> Tensor:
        """Return (b, q, width) of what the heads mixed, (b, h, q, d / h)."""
        return self.to_out(mixed.transpose(1, 2).flatten(2))
