"""
Where a token is. Each layer adds positions to tokens.

Sines and cosines (Vaswani et al. 2017), in two dimensions as in MAE (He et al. 2021), or learned.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor


def _angles(n: int, pairs: int, device: torch.device) -> Tensor:
    """Return (n, pairs) rad: position / 10000^(i / pairs)."""
    # float64, or the angles of far positions are off.
    place = torch.arange(n, dtype=torch.float64, device=device)
    rate = torch.arange(pairs, dtype=torch.float64, device=device) / pairs
    return place[:, None] / 10000.0**rate


def sinusoid(n: int, width: int, device: torch.device) -> Tensor:
    """Return (n, width): sine at even places, cosine at odd ones; ``width`` is even."""
    angles = _angles(n, width // 2, device)
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(1).float()


def sinusoid_2d(rows: int, columns: int, width: int, device: torch.device) -> Tensor:
    """
    Return (rows, columns, width): half for the column, half for the row; 4 divides ``width``.

    Each half holds all its sines, then all its cosines.
    """
    across = _angles(columns, width // 4, device)
    down = _angles(rows, width // 4, device)
    across = torch.cat([torch.sin(across), torch.cos(across)], dim=-1)  # (columns, width / 2)
    down = torch.cat([torch.sin(down), torch.cos(down)], dim=-1)  # (rows, width / 2)
    return torch.cat(
        [across.expand(rows, -1, -1), down[:, None].expand(-1, columns, -1)], dim=-1
    ).float()


class SinusoidPosition(nn.Module):
    """Adds to tokens (b, n, width) where they are in their sequence, of any length."""

    def __init__(self, width: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f'sinusoid positions need an even width, got {width}')

    def forward(self, x: Tensor) -> Tensor:
        return x + sinusoid(x.shape[1], x.shape[2], x.device).to(x.dtype)


class SinusoidPosition2d(nn.Module):
    """Adds to cells (b, rows, columns, width) where they are in their image, of any size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(f'2D sinusoid positions need a width that 4 divides, got {width}')

    def forward(self, x: Tensor) -> Tensor:
        return x + sinusoid_2d(x.shape[1], x.shape[2], x.shape[3], x.device).to(x.dtype)


class LearnedPosition(nn.Module):
    """Adds to tokens (b, n, width) a learned vector each, for at most ``most`` of them."""

    def __init__(self, most: int, width: int) -> None:
        super().__init__()
        self.most = most
        self.table = nn.Parameter(torch.randn(most, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n, width); raises ValueError for more tokens than there are positions."""
        n = x.shape[1]
        if n > self.most:
            raise ValueError(f'got {n} tokens, there are positions for {self.most}')
        return x + self.table[:n]
