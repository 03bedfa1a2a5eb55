"""Which of the tasks a command asks for, from all that was seen and read."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.heads.readout import Readout


class TaskClassifier(nn.Module):
    """Tokens (b, n, width) to logits (b, tasks)."""

    def __init__(self, width: int, heads: int, tasks: int) -> None:
        super().__init__()
        self.readout = Readout(width, heads, queries=1)
        self.to_logits = nn.Linear(width, tasks)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.to_logits(self.readout(tokens, mask)[:, 0])
