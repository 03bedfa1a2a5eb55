"""Modalities that look at each other: each attends to the two others at once."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.fusion.tokens import all_joined, Entrance, Fused, fused, joined, Tokens
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


class ExchangeStack(nn.Module):
    """
    A fusion of ``layers``, each called as an ``Exchange`` is; gives every token of every modality.

    Attention: of the words in the last layer.
    """

    def __init__(self, width: int, layers: list[nn.Module]) -> None:
        super().__init__()
        self.entrance = Entrance(width)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        attention = seen.tokens
        for layer in self.layers:
            seen, said, felt, attention = layer(seen, said, felt)
        x, mask = all_joined(seen, said, felt)
        return fused(self.norm(x), mask, attention)
