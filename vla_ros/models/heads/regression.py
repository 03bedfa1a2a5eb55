"""Any numbers about the scene, such as where something is: a plain regression."""

from __future__ import annotations

from torch import nn, Tensor

from vla_ros.models.heads.readout import Readout


class RegressionHead(nn.Module):
    """Tokens (b, n, width) to unbounded values (b, outputs)."""

    def __init__(self, width: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.readout = Readout(width, heads, queries=1)
        self.to_values = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)
        )

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.to_values(self.readout(tokens, mask)[:, 0])
