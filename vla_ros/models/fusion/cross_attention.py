"""
Fusion by cross-attention alone: words look at cells, cells at words, and the robot at both.

The co-attention of ViLBERT (Lu et al. 2019). Attention: of the words in the last exchange.
"""

from __future__ import annotations

from torch import nn

from vla_ros.models.fusion.exchange import Exchange
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import at_least_one, Entrance, Fused, fused, joined, Tokens


@register_fusion('cross_attention')
class CrossAttentionFusion(nn.Module):
    """Gives every token of every modality, after ``layers`` exchanges."""

    def __init__(self, width: int, heads: int = 4, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.entrance = Entrance(width)
        self.exchanges = nn.ModuleList(
            [Exchange(width, heads, dropout) for _ in range(at_least_one(layers))]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        attention = seen.tokens
        for exchange in self.exchanges:
            seen, said, felt, attention = exchange(seen, said, felt)
        x, mask = joined(joined(seen, said), felt)
        return fused(self.norm(x), mask, attention)
