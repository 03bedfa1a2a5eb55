"""
Intermediate fusion: first every modality by itself, then all of them together.

The middle way of Nagrani et al. (2021). Attention: of the last layer.
"""

from __future__ import annotations

from torch import nn

from vla_ros.models.fusion.alone import Alone
from vla_ros.models.fusion.joint import JointTransformer
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import at_least_one, Entrance, Fused, Tokens


@register_fusion('intermediate')
class IntermediateFusion(nn.Module):
    """Gives every token of every modality, after ``layers`` blocks alone and ``layers`` joint."""

    def __init__(self, width: int, heads: int = 4, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.entrance = Entrance(width)
        self.alone = Alone(width, heads, at_least_one(layers), dropout)
        self.joint = JointTransformer(width, heads, layers, dropout)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        seen, said, felt = self.alone(seen, said, felt)
        return self.joint(seen, said, felt)
