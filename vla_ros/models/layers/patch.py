"""Cuts an image into square patches, each a token (Dosovitskiy et al. 2020)."""

from __future__ import annotations

from torch import nn, Tensor


class PatchEmbedding(nn.Module):
    """
    Images (b, channels, h, w) to cells (b, rows, columns, width), a cell for ``patch_px`` pixels.

    What the last patches lack of their size is filled with zeros, right and below.
    """

    def __init__(self, patch_px: int, width: int, channels: int = 3) -> None:
        super().__init__()
        self.patch_px = patch_px
        self.project = nn.Conv2d(channels, width, patch_px, patch_px)

    def forward(self, image: Tensor) -> Tensor:
        below = -image.shape[2] % self.patch_px
        right = -image.shape[3] % self.patch_px
        image = nn.functional.pad(image, [0, right, 0, below])
        return self.project(image).permute(0, 2, 3, 1)
