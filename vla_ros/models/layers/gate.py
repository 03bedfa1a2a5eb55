"""A conditional gate: how much of what passes, channel by channel (Arevalo et al. 2017)."""

from __future__ import annotations

import torch
from torch import nn, Tensor


class ConditionalGate(nn.Module):
    """
    Lets through of x (b, n, width) what it and a condition (b, condition) open.

    The gates are the sigmoid of a linear layer over both; they start half open.
    """

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.from_token = nn.Linear(width, width)
        self.from_condition = nn.Linear(condition, width, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return what passes and the gates, both (b, n, width)."""
        gates = torch.sigmoid(self.from_token(x) + self.from_condition(condition)[:, None])
        return gates * x, gates
