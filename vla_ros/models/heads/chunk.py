"""
A chunk of bounded actions from fused tokens, every row at once.

One learned query a row reads the tokens, as in action chunking (ACT, Zhao et al. 2023).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.heads.readout import Readout

#: Numbers that a row of a chunk is made of: position, quaternion, gripper, termination.
ROW = 9


class Chunk(NamedTuple):
    """
    Rows (..., k) of actions, before they are put together.

    ``position`` (..., k, 3) m inside the workspace; ``orientation`` (..., k, 4) unit quaternions
    x, y, z, w; ``gripper_logit`` (..., k) of being closed and ``termination_logit`` (..., k) of
    being done.
    """

    position: Tensor
    orientation: Tensor
    gripper_logit: Tensor
    termination_logit: Tensor


def chunk_actions(chunk: Chunk) -> Tensor:
    """Return actions (..., k, 8) of the policy contract: position, quaternion, gripper 0..1."""
    gripper = torch.sigmoid(chunk.gripper_logit).unsqueeze(-1)
    return torch.cat([chunk.position, chunk.orientation, gripper], dim=-1)


def unit_quaternion(raw: Tensor) -> Tensor:
    """Return unit quaternions (..., 4) of any numbers (..., 4); 0 is a tool that points down."""
    down = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=raw.dtype, device=raw.device)
    turned = raw + down
    length = torch.linalg.vector_norm(turned, dim=-1, keepdim=True)
    # A quaternion of no length has no direction: it becomes the tool that points down.
    return torch.where(length > 1e-6, turned / length.clamp(min=1e-6), down)


class Workspace(nn.Module):
    """Positions (..., 3) in -1..1 to those of a box, m; ``unit`` is the way back."""

    centre: Tensor
    reach: Tensor

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__()
        lowest, highest = torch.tensor(low), torch.tensor(high)
        if not bool((lowest < highest).all()):
            raise ValueError(f'a workspace from {list(low)} to {list(high)} m is no box')
        self.register_buffer('centre', (lowest + highest) / 2.0, persistent=False)
        self.register_buffer('reach', (highest - lowest) / 2.0, persistent=False)

    def forward(self, unit: Tensor) -> Tensor:
        return self.centre + self.reach * unit

    def unit(self, position: Tensor) -> Tensor:
        return (position - self.centre) / self.reach


class BoundedRows(nn.Module):
    """Any numbers (..., 9) to a Chunk whose positions cannot leave the workspace, m."""

    def __init__(self, workspace_min: Sequence[float], workspace_max: Sequence[float]) -> None:
        super().__init__()
        self.workspace = Workspace(workspace_min, workspace_max)

    def forward(self, raw: Tensor) -> Chunk:
        # A chance in bfloat16 is 1 from a logit of some 6 on, and nothing more is learned of it.
        raw = raw.float()
        return Chunk(
            self.workspace(torch.tanh(raw[..., :3])),
            unit_quaternion(raw[..., 3:7]),
            raw[..., 7],
            raw[..., 8],
        )


class ParallelChunkHead(nn.Module):
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
        self.readout = Readout(width, heads, horizon)
        self.to_row = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, ROW))
        self.bounded = BoundedRows(workspace_min, workspace_max)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Chunk:
        return self.bounded(self.to_row(self.readout(tokens, mask)))  # (b, k, 9) inside
