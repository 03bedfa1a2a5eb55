"""
The Perceiver (Jaegle et al. 2021): a few learned latents read all modalities, again and again.

Its cost grows with the number of tokens, not with its square. Attention: a word looks at what the
latents that read it look at, in the last reading.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import all_joined, at_least_one, Entrance, Fused, fused, Tokens
from vla_ros.models.layers.block import CrossBlock, PreNormBlock


class PerceiverLayer(nn.Module):
    """Latents (b, l, width) read a context (b, n, width), then look at each other."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.read = CrossBlock(width, heads, dropout)
        self.think = PreNormBlock(width, heads, dropout)

    def forward(self, latents: Tensor, context: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return (b, l, width) and the weights (b, h, l, n); ``mask`` (b, n) bool of context."""
        latents, weights = self.read(latents, context, mask)
        return self.think(latents), weights


@register_fusion('perceiver')
class PerceiverFusion(nn.Module):
    """Gives its latents."""

    def __init__(
        self,
        width: int,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.0,
        latents: int = 16,
    ) -> None:
        super().__init__()
        if latents < 1:
            raise ValueError(f'got {latents} latents, expected at least 1')
        self.entrance = Entrance(width)
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.1)
        self.layers = nn.ModuleList(
            [PerceiverLayer(width, heads, dropout) for _ in range(at_least_one(layers))]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        context, mask = all_joined(seen, said, felt)
        x = self.latents.expand(context.shape[0], -1, -1)
        weights = context
        for layer in self.layers:
            x, weights = layer(x, context, mask)
        there = torch.ones([x.shape[0], x.shape[1]], dtype=torch.bool, device=x.device)
        return fused(self.norm(x), there, words_by_readers(weights, seen, said))


def words_by_readers(weights: Tensor, vision: Tokens, text: Tokens) -> Tensor:
    """
    Return (b, n, c): each word looks at the cells that those look at who read the word.

    ``weights`` (b, h, r, t) of r readers are over tokens that begin with vision, then text.
    """
    cells, words = vision.mask.shape[1], text.mask.shape[1]
    by_reader = weights.mean(dim=1)  # (b, r, t)
    of_word = by_reader[:, :, cells + 1 : cells + words]  # (b, r, n)
    of_word = of_word / of_word.sum(dim=1, keepdim=True).clamp(min=1e-9)
    # A product in mixed precision would not be float32.
    return (of_word.transpose(1, 2) @ by_reader[:, :, 1:cells]).float()
