"""
The Vision Transformer (Dosovitskiy et al. 2020): an image as a sequence of patches.

Positions are sines and cosines in two dimensions, so that it takes images of any size; a class
token gathers what the whole image says.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.layers.block import PreNormBlock
from vla_ros.models.layers.patch import PatchEmbedding
from vla_ros.models.layers.position import SinusoidPosition2d


class SeenImage(NamedTuple):
    """``summary`` (b, width) of the class token; ``cells`` (b, rows, columns, width)."""

    summary: Tensor
    cells: Tensor


class VisionTransformer(nn.Module):
    """Images (b, 3, h, w) float to a SeenImage, with one cell for ``patch_px`` pixels each way."""

    def __init__(
        self, patch_px: int, width: int, heads: int, layers: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.patches = PatchEmbedding(patch_px, width)
        self.position = SinusoidPosition2d(width)
        self.class_token = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = nn.ModuleList(
            [PreNormBlock(width, heads, dropout, expansion=4) for _ in range(layers)]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> SeenImage:
        cells = self.position(self.patches(image))
        b, rows, columns, width = cells.shape
        x = torch.cat([self.class_token.expand(b, 1, -1), cells.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return SeenImage(x[:, 0], x[:, 1:].view(b, rows, columns, width))
