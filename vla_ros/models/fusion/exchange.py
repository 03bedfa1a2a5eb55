"""Modalities that look at each other: each attends to the two others at once."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.fusion.tokens import joined, Tokens
from vla_ros.models.layers.block import CrossBlock


class Exchange(nn.Module):
    """
    Co-attention in all directions (ViLBERT, Lu et al. 2019), by a cross block for each modality.

    All three look at what the others were before the exchange.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.to_vision = CrossBlock(width, heads, dropout)
        self.to_text = CrossBlock(width, heads, dropout)
        self.to_state = CrossBlock(width, heads, dropout)

    def forward(
        self, vision: Tokens, text: Tokens, state: Tokens
    ) -> tuple[Tokens, Tokens, Tokens, Tensor]:
        """
        Return vision, text and state after it, and the attention (b, n, c).

        The modalities are ready ones: see ``Entrance``.
        """
        beyond_vision, beyond_text = joined(text, state), joined(vision, state)
        beyond_state = joined(vision, text)
        seen, _ = self.to_vision(vision.tokens, beyond_vision.tokens, beyond_vision.mask)
        said, weights = self.to_text(text.tokens, beyond_text.tokens, beyond_text.mask)
        felt, _ = self.to_state(state.tokens, beyond_state.tokens, beyond_state.mask)
        attention = weights.mean(dim=1)[:, 1:, 1 : vision.mask.shape[1]]
        return (
            Tokens(seen, vision.mask),
            Tokens(said, text.mask),
            Tokens(felt, state.mask),
            attention * text.mask[:, 1:, None],
        )
