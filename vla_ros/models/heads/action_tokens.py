"""
A chunk of actions as tokens: a class for each channel of each row (RT-1, Brohan et al. 2022).

What the classes stand for is the business of ``models.tokenizers.action_bins``.
"""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.heads.readout import Readout


class ActionTokenHead(nn.Module):
    """Tokens (b, n, width) to logits (b, horizon, channels, bins)."""

    def __init__(self, width: int, heads: int, horizon: int, channels: int, bins: int) -> None:
        super().__init__()
        self.channels, self.bins = channels, bins
        self.readout = Readout(width, heads, horizon)
        self.to_logits = nn.Linear(width, channels * bins)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        logits = self.to_logits(self.readout(tokens, mask))
        return logits.unflatten(-1, [self.channels, self.bins])
