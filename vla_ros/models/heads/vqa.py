"""
Answers to questions about the picture, out of a fixed list (Teney et al. 2018).

Each answer is a vector of its own, so a logit tells how near it is to what question and picture
ask for. The logits are of independent yes or no, for several answers can be right: score them by
``functional.binary_cross_entropy_with_logits``.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from vla_ros.models.heads.readout import Readout


class VqaHead(nn.Module):
    """Tokens (b, n, width) of question and picture to logits (b, answers)."""

    def __init__(self, width: int, heads: int, answers: int) -> None:
        super().__init__()
        self.scale = width**-0.5
        self.readout = Readout(width, heads, queries=1)
        self.to_answer = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.answers = nn.Parameter(torch.randn(answers, width))
        self.bias = nn.Parameter(torch.zeros(answers))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        wanted = self.to_answer(self.readout(tokens, mask)[:, 0])  # (b, width)
        return self.scale * wanted @ self.answers.T + self.bias
