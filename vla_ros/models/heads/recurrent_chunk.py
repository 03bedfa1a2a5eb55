"""
A chunk of bounded actions, each row from the one before it.

A long short-term memory (Hochreiter and Schmidhuber 1997) reads what it was asked and its own
last row. It is taught as it is used, on its own rows, so that errors of one row are seen by the
next in training too.
"""

from collections.abc import Sequence

import torch
from torch import nn, Tensor

from vla_ros.models.heads.chunk import BoundedRows, Chunk, ROW
from vla_ros.models.heads.readout import Readout


class RecurrentChunkHead(nn.Module):
    """Tokens (b, n, width) to a Chunk of ``horizon`` rows."""

    def __init__(
        self,
        width: int,
        heads: int,
        horizon: int,
        workspace_min: Sequence[float],
        workspace_max: Sequence[float],
    ) -> None:
        super().__init__()
        self.horizon = horizon
        self.row = ROW
        self.readout = Readout(width, heads, queries=1)
        self.start = nn.Linear(width, 2 * width)
        self.step = nn.LSTMCell(width + ROW, width)
        self.to_row = nn.Linear(width, ROW)
        self.bounded = BoundedRows(workspace_min, workspace_max)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Chunk:
        asked = self.readout(tokens, mask)[:, 0]  # (b, width)
        hidden, cell = torch.tanh(self.start(asked)).chunk(2, dim=-1)
        last = asked.new_zeros([asked.shape[0], self.row])
        rows: list[Tensor] = []
        for _ in range(self.horizon):
            hidden, cell = self.step(torch.cat([asked, torch.tanh(last)], dim=-1), (hidden, cell))
            last = self.to_row(hidden)
            rows.append(last)
        return self.bounded(torch.stack(rows, dim=1))  # (b, k, 9) inside
