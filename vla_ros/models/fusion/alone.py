"""Each modality by itself: what late and intermediate fusion do before they fuse."""

from __future__ import annotations

from torch import nn

from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.layers.block import PreNormBlock


class Alone(nn.Module):
    """A transformer of its own for each ready modality (see ``Entrance``); none sees another."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.vision, self.text, self.state = (
            nn.ModuleList([PreNormBlock(width, heads, dropout) for _ in range(layers)])
            for _ in range(3)
        )

    def forward(
        self, vision: Tokens, text: Tokens, state: Tokens
    ) -> tuple[Tokens, Tokens, Tokens]:
        seen, said, felt = vision.tokens, text.tokens, state.tokens
        for block in self.vision:
            seen = block(seen, vision.mask)
        for block in self.text:
            said = block(said, text.mask)
        for block in self.state:
            felt = block(felt, state.mask)
        return Tokens(seen, vision.mask), Tokens(said, text.mask), Tokens(felt, state.mask)
