"""
Early fusion: the tokens of all modalities are one sequence from the first layer on.

As in VisualBERT (Li et al. 2019) and ViLT (Kim et al. 2021). Attention: of the last layer.
"""

from __future__ import annotations

from torch import nn

from vla_ros.models.fusion.joint import JointTransformer
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import Entrance, Fused, Tokens


@register_fusion('early')
class EarlyFusion(nn.Module):
    """Gives every token of every modality."""

    def __init__(self, width: int, heads: int = 4, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.entrance = Entrance(width)
        self.joint = JointTransformer(width, heads, layers, dropout)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        return self.joint(seen, said, felt)
