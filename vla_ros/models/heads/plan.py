"""
What to do one after the other: a short list of steps, each chosen knowing those before it.

A gated recurrent unit (Cho et al. 2014) reads the step before. A plan ends with ``END``, and
nothing follows it.
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.heads.readout import Readout

#: The step that ends a plan; the others are 1 .. kinds.
END = 0


class Plan(NamedTuple):
    """``logits`` (b, s, 1 + kinds) of each step; ``steps`` (b, s) int64, the likeliest ones."""

    logits: Tensor
    steps: Tensor


class PlanHead(nn.Module):
    """Tokens (b, n, width) to a Plan of at most ``length`` steps of so many ``kinds``."""

    def __init__(self, width: int, heads: int, length: int, kinds: int) -> None:
        super().__init__()
        self.length = length
        self.end = END
        self.readout = Readout(width, heads, queries=1)
        # One more row than there are steps: what stands before the first.
        self.embed = nn.Embedding(2 + kinds, width)
        self.first = 1 + kinds
        self.step = nn.GRUCell(2 * width, width)
        self.to_logits = nn.Linear(width, 1 + kinds)

    def forward(
        self, tokens: Tensor, mask: Tensor | None = None, taught: Tensor | None = None
    ) -> Plan:
        """
        Return the plan; each step follows the one chosen before it.

        With ``taught`` (b, length) int64 it follows that of the demonstrated plan instead: only
        for training.
        """
        asked = self.readout(tokens, mask)[:, 0]  # (b, width)
        hidden = asked
        last = torch.full([asked.shape[0]], self.first, dtype=torch.int64, device=asked.device)
        ended = last == self.end
        logits: list[Tensor] = []
        steps: list[Tensor] = []
        for place in range(self.length):
            hidden = self.step(torch.cat([asked, self.embed(last)], dim=-1), hidden)
            logits.append(self.to_logits(hidden))
            chosen = logits[place].argmax(dim=-1).masked_fill(ended, self.end)
            ended = ended | (chosen == self.end)
            steps.append(chosen)
            last = chosen if taught is None else taught[:, place]
        return Plan(torch.stack(logits, dim=1), torch.stack(steps, dim=1))
