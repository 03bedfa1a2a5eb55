"""
Fusion by a mixture of experts: one transformer whose feed-forward nets are chosen by the token.

As in LIMoE (Mustafa et al. 2022): all modalities share the experts, and the router sorts them out.
Attention: of the last layer.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.fusion.joint import words_on_cells
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import all_joined, at_least_one, Entrance, Fused, fused, Tokens
from vla_ros.models.layers.attention import MultiHeadAttention
from vla_ros.models.layers.mixture import MixtureOfExperts


class MixtureBlock(nn.Module):
    """Self-attention, then a mixture of experts, each added to its input: (b, n, width)."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        experts: int,
        top_k: int,
        capacity: float,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.mixture = MixtureOfExperts(width, 2 * width, experts, top_k, capacity)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Return (b, n, width), the attention's weights (b, h, n, n), balance loss and drops (b,).

        The last two are those of ``layers.mixture.Mixture``.
        """
        y = self.attention_norm(x)
        attended, weights = self.attention(y, y, mask)
        x = x + attended
        worked = self.mixture(self.norm(x), mask)
        return x + worked.tokens, weights, worked.balance_loss, worked.dropped


@register_fusion('mixture')
class MixtureFusion(nn.Module):
    """Gives every token of every modality. Its auxiliary loss balances the experts."""

    def __init__(
        self,
        width: int,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.0,
        experts: int = 4,
        top_k: int = 2,
        capacity: float = 1.5,
    ) -> None:
        super().__init__()
        self.entrance = Entrance(width)
        self.blocks = nn.ModuleList(
            [
                MixtureBlock(width, heads, dropout, experts, top_k, capacity)
                for _ in range(at_least_one(layers))
            ]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        x, mask = all_joined(seen, said, felt)
        weights, losses, drops = x, [], []
        for block in self.blocks:
            x, weights, loss, dropped = block(x, mask)
            losses.append(loss)
            drops.append(dropped)
        out = fused(self.norm(x), mask, words_on_cells(weights, seen, said))
        loss, dropped = torch.stack(losses).mean(), torch.stack(drops).sum(dim=0)
        return Fused(out.tokens, out.mask, out.attention, loss, dropped)
