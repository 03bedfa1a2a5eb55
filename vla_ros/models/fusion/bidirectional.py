"""
The bidirectional multimodal transformer: self-attention within, cross-attention between, stacked.

The cross-modality encoder of LXMERT (Tan & Bansal 2019), with the robot's state as a third party.
Attention: of the words in the last exchange.
"""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.fusion.alone import Alone
from vla_ros.models.fusion.exchange import Exchange, ExchangeStack
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import at_least_one, Tokens


class BidirectionalLayer(nn.Module):
    """Ready modalities (see ``Entrance``): each sees itself, then the two others."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.alone = Alone(width, heads, 1, dropout)
        self.exchange = Exchange(width, heads, dropout)

    def forward(
        self, vision: Tokens, text: Tokens, state: Tokens
    ) -> tuple[Tokens, Tokens, Tokens, Tensor]:
        """Return vision, text and state after it, and the attention (b, n, c)."""
        vision, text, state = self.alone(vision, text, state)
        return self.exchange(vision, text, state)


@register_fusion('bidirectional')
class BidirectionalFusion(ExchangeStack):
    """Gives every token of every modality."""

    def __init__(self, width: int, heads: int = 4, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__(
            width, [BidirectionalLayer(width, heads, dropout) for _ in range(at_least_one(layers))]
        )
