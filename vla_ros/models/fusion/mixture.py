"""
Fusion by a mixture of experts: one transformer whose feed-forward nets are chosen by the token.

As in LIMoE (Mustafa et al. 2022): all modalities share the experts, and the router sorts them out.
Attention: of the last layer.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.fusion.joint import words_among_all, words_on_cells
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import all_joined, at_least_one, Entrance, Fused, fused, Tokens
from vla_ros.models.layers.attention import MultiHeadAttention
from vla_ros.models.layers.mixture import Mixture, MixtureOfExperts


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

    def forward(self, x: Tensor, mask: Tensor) -> Mixture:
        """Return the tokens and what the mixture tells of its experts."""
        y = self.attention_norm(x)
        return self._worked(x + self.attention.attend(y, y, mask), mask)

    def looking(self, x: Tensor, mask: Tensor, first: int, end: int) -> tuple[Mixture, Tensor]:
        """Return what ``forward`` does, and the weights of some tokens (b, h, end - first, n)."""
        y = self.attention_norm(x)
        attended, weights = self.attention.look(y, y, mask, first, end)
        return self._worked(x + attended, mask), weights

    def _worked(self, x: Tensor, mask: Tensor) -> Mixture:
        worked = self.mixture(self.norm(x), mask)
        return Mixture(x + worked.tokens, worked.balance_loss, worked.dropped, worked.load)


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
        *first, self.last = [
            MixtureBlock(width, heads, dropout, experts, top_k, capacity)
            for _ in range(at_least_one(layers))
        ]
        self.blocks = nn.ModuleList(first)
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        x, mask = all_joined(seen, said, felt)
        first, end = words_among_all(seen, said)
        losses, drops = [], []
        for block in self.blocks:
            worked = block(x, mask)
            x = worked.tokens
            losses.append(worked.balance_loss)
            drops.append(worked.dropped)
        worked, weights = self.last.looking(x, mask, first, end)
        losses.append(worked.balance_loss)
        drops.append(worked.dropped)
        out = fused(self.norm(worked.tokens), mask, words_on_cells(weights, seen, said))
        loss, dropped = torch.stack(losses).mean(), torch.stack(drops).sum(dim=0)
        return Fused(out.tokens, out.mask, out.attention, loss, dropped)
