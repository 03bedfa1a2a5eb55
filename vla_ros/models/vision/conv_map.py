"""
A small convolutional encoder: an image to a map of features of a quarter of its size.

Residual blocks (He et al. 2015) at a quarter; one branch at an eighth sees wider around.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.part import Part


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a skip: (b, d, h, w) -> (b, d, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width, 3)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class ConvMap(Part):
    """Images (b, 3, h, w) to features (b, width, h / 4, w / 4); h and w divide by 4."""

    stride = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, width // 2, 5, 2), _conv(width // 2, width, 3, 2))
        self.near = ResidualBlock(width)
        self.wide = nn.Sequential(
            _conv(width, 2 * width, 3, 2),
            ResidualBlock(2 * width),
            nn.Conv2d(2 * width, width, 1),
        )
        self.merged = ResidualBlock(width)

    def forward(self, image: Tensor) -> Tensor:
        x = self.near(self.stem(image))
        wide = self.wide(x)
        # Nearest neighbours keep cells apart; the block after it smooths.
        wide = nn.functional.interpolate(wide, size=[x.shape[2], x.shape[3]], mode='nearest')
        return self.merged(x + wide)
