"""
Late fusion: every modality becomes one summary by itself, and only the summaries meet.

Gates decide, channel by channel, how much of each counts (Arevalo et al. 2017). No word ever sees
a cell: its attention is how much it counts in the summary of the text, spread over the cells by
how much these count in that of the image.
"""

from __future__ import annotations

import torch
from torch import nn

from vla_ros.models.fusion.alone import Alone
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import at_least_one, Entrance, Fused, fused, Tokens
from vla_ros.models.layers.feed_forward import FeedForward
from vla_ros.models.layers.gate import ConditionalGate
from vla_ros.models.layers.pool import AttentionPool


@register_fusion('late')
class LateFusion(nn.Module):
    """Gives one token."""

    def __init__(self, width: int, heads: int = 4, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.entrance = Entrance(width)
        self.alone = Alone(width, heads, at_least_one(layers), dropout)
        self.pool_vision = AttentionPool(width, heads, dropout=dropout)
        self.pool_text = AttentionPool(width, heads, dropout=dropout)
        self.pool_state = AttentionPool(width, heads, dropout=dropout)
        self.gate = ConditionalGate(width, 3 * width)
        self.mix_norm = nn.LayerNorm(width)
        self.mix = FeedForward(width, 2 * width, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        seen, said, felt = self.alone(seen, said, felt)
        image, cells = self.pool_vision(seen.tokens, seen.mask)  # (b, 1, d), (b, h, 1, 1 + c)
        command, words = self.pool_text(said.tokens, said.mask)
        robot, _ = self.pool_state(felt.tokens, felt.mask)
        summaries = torch.cat([image, command, robot], dim=1)  # (b, 3, d)
        passed, _ = self.gate(summaries, summaries.flatten(1))
        x = passed.sum(dim=1, keepdim=True)  # (b, 1, d)
        x = self.norm(x + self.mix(self.mix_norm(x)))
        # (b, n, 1) times (b, 1, c)
        attention = words.mean(dim=1)[:, 0, 1:, None] * cells.mean(dim=1)[:, :, 1:]
        there = torch.ones([x.shape[0], 1], dtype=torch.bool, device=x.device)
        return fused(x, there, attention)
