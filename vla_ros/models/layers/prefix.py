"""
A sequence of two parts: a prefix that sees itself whole, and tokens that follow it.

What follows sees the prefix and changes nothing in it (the prefix language model of Raffel et al.
2020). So the prefix is worked on once, and tokens can follow it one by one at little cost: the
keys and values that each layer looked at are kept.
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.layers.attention import MultiHeadAttention
from vla_ros.models.layers.feed_forward import FeedForward


class Past(NamedTuple):
    """
    ``layers``: the keys and values that each looks at; ``mask`` (b, n) bool, true for tokens.

    Those of a layer are (b, n, 2 * width), as ``MultiHeadAttention.kept`` returns them.
    """

    layers: list[Tensor]
    mask: Tensor


class PrefixBlock(nn.Module):
    """Pre-norm attention to what went before and to each other, then a feed-forward net."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, 2 * width, dropout)

    def forward(
        self, x: Tensor, before: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """
        Return tokens (b, n, width) and what those see that follow them, (b, m + n, 2 * width).

        ``before`` (b, m, 2 * width) is what this block returned for the tokens before these, if
        there were any; ``mask`` (b, m + n) or (b, n, m + n) bool is true where there is something
        to see.
        """
        y = self.attention_norm(x)
        seen = self._seen(y, before)
        x = x + self.attention.attend_kept(y, seen, mask)
        return x + self.feed_forward(self.norm(x)), seen

    def looking(self, x: Tensor, before: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what ``forward`` does, and the weights of the attention (b, h, n, m + n)."""
        y = self.attention_norm(x)
        seen = self._seen(y, before)
        attended, weights = self.attention.weigh_kept(y, seen, mask)
        x = x + attended
        return x + self.feed_forward(self.norm(x)), seen, weights

    def seen(self, x: Tensor) -> Tensor:
        """Return what those see, (b, n, 2 * width), that follow the first tokens, and no more."""
        return self._seen(self.attention_norm(x), None)

    def _seen(self, y: Tensor, before: Tensor | None) -> Tensor:
        own = self.attention.kept(y)
        return own if before is None else torch.cat([before, own], dim=1)


class PrefixTransformer(nn.Module):
    """
    Tokens (b, q, width) that follow a prefix (b, n, width).

    ``forward`` takes both at once; ``begin`` takes the prefix and ``follow``, time after time,
    what comes next.
    """

    def __init__(self, width: int, heads: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f'got {layers} layers, expected at least 1')
        self.blocks = nn.ModuleList(
            [PrefixBlock(width, heads, dropout) for _ in range(layers - 1)]
        )
        self.last = PrefixBlock(width, heads, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, prefix: Tensor, mask: Tensor, x: Tensor, causal: bool = True
    ) -> tuple[Tensor, Tensor]:
        """
        Return the tokens (b, q, width) and the last layer's weights (b, h, q, n + q).

        ``mask`` (b, n) bool is true where the prefix has a token. Of the others in ``x`` each
        token sees only those before it if ``causal``, else all.
        """
        x, _, weights = self.follow(x, self.begin(prefix, mask), causal)
        return x, weights

    def begin(self, x: Tensor, mask: Tensor) -> Past:
        """Return what tokens can follow, of a prefix (b, n, width) and its mask (b, n) bool."""
        layers: list[Tensor] = []
        for block in self.blocks:
            x, seen = block(x, None, mask)
            layers.append(seen)
        # Of its last layer a prefix leaves only what others look at.
        layers.append(self.last.seen(x))
        return Past(layers, mask)

    def follow(self, x: Tensor, past: Past, causal: bool) -> tuple[Tensor, Past, Tensor]:
        """
        Return tokens that follow, (b, q, width), the past of the next ones, and weights.

        Each sees all that is past; else as ``forward``. The weights (b, h, q, m + q) are over the
        past and ``x``.
        """
        b, q, _ = x.shape
        own = torch.ones([q, q], dtype=torch.bool, device=x.device)
        if causal:
            own = own.tril()
        sight = torch.cat(
            [past.mask[:, None].expand(-1, q, -1), own.expand(b, -1, -1)], dim=-1
        )  # (b, q, m + q)
        layers: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x, seen = block(x, past.layers[index], sight)
            layers.append(seen)
        x, seen, weights = self.last.looking(x, past.layers[len(layers)], sight)
        layers.append(seen)
        there = torch.ones([b, q], dtype=torch.bool, device=x.device)
        return self.norm(x), Past(layers, torch.cat([past.mask, there], dim=1)), weights
