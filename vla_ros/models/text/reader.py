"""
What a command means: which task, colour, shape and zone.

Four learned queries attend to the sentence's tokens, one for each of them, so that words and
sentences that were never seen together compose.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.layers.attention import MultiHeadAttention
from vla_ros.models.layers.block import PreNormBlock
from vla_ros.models.part import Part


class Reading(NamedTuple):
    """
    Logits (b, classes) of what b sentences mean.

    ``words`` (b, 4, n): how much each answer follows from each token.
    """

    task: Tensor
    colour: Tensor
    shape: Tensor
    zone: Tensor
    words: Tensor


class ReadsWords(Part):
    """What reads token features (b, n, text_width) begins by looking at words in their context."""

    def __init__(
        self, text_width: int, width: int = 128, heads: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, width))
        self.block = PreNormBlock(width, heads, dropout)
        self.norm = nn.LayerNorm(width)

    def words(self, text: Tensor, mask: Tensor) -> Tensor:
        """Return (b, n, width); ``mask`` (b, n) bool is true where there is a token."""
        return self.norm(self.block(self.narrow(text), mask))


class WordEncoder(ReadsWords):
    """Token features (b, n, text_width) to words in their context (b, n, width)."""

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        return self.words(text, mask)


class Reader(ReadsWords):
    """Token features (b, n, text_width) to a Reading with so many ``classes`` of each kind."""

    def __init__(
        self,
        text_width: int,
        classes: tuple[int, int, int, int],
        width: int = 128,
        heads: int = 4,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(text_width, width, heads, dropout)
        self.queries = nn.Parameter(torch.randn(4, width) * 0.1)
        self.read = MultiHeadAttention(width, heads, dropout=dropout)
        self.phrase_norm = nn.LayerNorm(width)
        self.phrase = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))
        task, colour, shape, zone = classes
        self.to_task = nn.Linear(width, task)
        self.to_colour = nn.Linear(width, colour)
        self.to_shape = nn.Linear(width, shape)
        self.to_zone = nn.Linear(width, zone)

    def forward(self, text: Tensor, mask: Tensor) -> Reading:
        tokens = self.words(text, mask)
        read, words = self.read(self.queries.expand(text.shape[0], -1, -1), tokens, mask)
        phrase = read + self.phrase(self.phrase_norm(read))  # (b, 4, width)
        return Reading(
            self.to_task(phrase[:, 0]),
            self.to_colour(phrase[:, 1]),
            self.to_shape(phrase[:, 2]),
            self.to_zone(phrase[:, 3]),
            words.mean(dim=1),
        )
