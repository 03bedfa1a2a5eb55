"""
Fusion by cross-attention alone: words look at cells, cells at words, and the robot at both.

The co-attention of ViLBERT (Lu et al. 2019). Attention: of the words in the last exchange.
"""

from __future__ import annotations

from vla_ros.models.fusion.exchange import Exchange, ExchangeStack
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import at_least_one


@register_fusion('cross_attention')
class CrossAttentionFusion(ExchangeStack):
    """Gives every token of every modality, after ``layers`` exchanges."""

    def __init__(self, width: int, heads: int = 4, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__(
            width, [Exchange(width, heads, dropout) for _ in range(at_least_one(layers))]
        )
