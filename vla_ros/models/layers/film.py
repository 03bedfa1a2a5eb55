"""Layers whose units are scaled and shifted by a condition (FiLM, Perez et al. 2017)."""

from __future__ import annotations

import torch
from torch import nn, Tensor


class FilmMlp(nn.Module):
    """Two hidden layers, each modulated by a condition: (b, inputs), (b, condition) -> (b, o)."""

    def __init__(self, inputs: int, condition: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.modulate = nn.Linear(condition, 4 * hidden)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale1, shift1, scale2, shift2 = self.modulate(condition).chunk(4, dim=-1)
        x = torch.relu(self.first(x) * (1.0 + scale1) + shift1)
        x = torch.relu(self.second(x) * (1.0 + scale2) + shift2)
        return self.out(x)
