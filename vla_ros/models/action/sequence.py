"""
A sequence read from its start: each token knows itself and what came before (Radford et al. 2018).

For histories of states and actions, as in the Decision Transformer (Chen et al. 2021).
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.layers.block import PreNormBlock


class SequenceProcessor(nn.Module):
    """Tokens (b, n, width), their positions in them already, to as many; zeros as padding."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([PreNormBlock(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``mask`` (b, n) bool is true where there is a token; padding may be on either side."""
        n = x.shape[1]
        before = torch.ones([n, n], dtype=torch.bool, device=x.device).tril()
        there = before & mask[:, None]  # (b, n, n)
        for block in self.blocks:
            x = block(x, there)
        return self.norm(x).masked_fill(~mask[:, :, None], 0.0)
