"""One transformer over the tokens of all modalities together."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.fusion.tokens import all_joined, at_least_one, Fused, fused, Tokens
from vla_ros.models.layers.block import PreNormBlock


class JointTransformer(nn.Module):
    """Ready modalities (see ``Entrance``) to all their tokens, after ``layers`` blocks."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [PreNormBlock(width, heads, dropout) for _ in range(at_least_one(layers) - 1)]
        )
        self.last = PreNormBlock(width, heads, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        x, mask = all_joined(vision, text, state)
        for block in self.blocks:
            x = block(x, mask)
        first, end = words_among_all(vision, text)
        x, weights = self.last.looking(x, mask, first, end)
        return fused(self.norm(x), mask, words_on_cells(weights, vision, text))


def words_among_all(vision: Tokens, text: Tokens) -> tuple[int, int]:
    """Return where the words begin and end among ready tokens: vision, then text, then others."""
    cells = vision.mask.shape[1]
    return cells + 1, cells + text.mask.shape[1]


def words_on_cells(weights: Tensor, vision: Tokens, text: Tokens) -> Tensor:
    """Return (b, n, c) of the words' weights (b, h, n, t) over tokens that begin with vision."""
    attention = weights.mean(dim=1)[:, :, 1 : vision.mask.shape[1]]
    return attention * text.mask[:, 1:, None]
