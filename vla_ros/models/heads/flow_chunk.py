"""
A chunk of actions by flow matching (Lipman et al. 2023), as in pi0 (Black et al. 2024).

A network says how rows of noise are to move to become rows of actions. It is taught on straight
ways, x(t) = (1 - t) noise + t actions, whose velocity is actions - noise. In use a fixed number of
Euler steps follows it from noise that is a buffer, so that the same tokens give the same chunk.
"""

from collections.abc import Sequence
import math

import torch
from torch import nn, Tensor

from vla_ros.models.heads.chunk import Chunk, ROW, unit_quaternion, Workspace
from vla_ros.models.heads.readout import Readout
from vla_ros.models.layers.block import PreNormBlock

#: Sines and cosines that a time is told by, up to 2**7 half turns.
_WAVES = 8


class FlowChunkHead(nn.Module):
    """Tokens (b, n, width) to a Chunk of ``horizon`` rows in ``steps`` Euler steps."""

    noise: Tensor
    frequencies: Tensor
    down: Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        horizon: int,
        workspace_min: Sequence[float],
        workspace_max: Sequence[float],
        steps: int = 10,
        layers: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.readout = Readout(width, heads, horizon)
        self.embed = nn.Linear(ROW, width)
        self.embed_time = nn.Sequential(nn.Linear(2 * _WAVES, width), nn.GELU())
        self.blocks = nn.ModuleList(PreNormBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.to_velocity = nn.Linear(width, ROW)
        self.workspace = Workspace(workspace_min, workspace_max)
        self.register_buffer('down', torch.tensor([1.0, 0.0, 0.0, 0.0]), persistent=False)
        random = torch.Generator().manual_seed(seed)
        self.register_buffer('noise', torch.randn(horizon, ROW, generator=random))
        self.register_buffer('frequencies', math.pi * 2.0 ** torch.arange(_WAVES), False)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Chunk:
        asked = self.readout(tokens, mask)  # (b, k, width)
        rows = self.noise.to(asked.dtype).expand(asked.shape[0], -1, -1)  # (b, k, 9)
        for step in range(self.steps):
            time = torch.full_like(rows[:, 0, 0], step / self.steps)
            rows = rows + self.velocity(rows, time, asked) / self.steps
        return self.to_chunk(rows)

    def velocity(self, rows: Tensor, time: Tensor, asked: Tensor) -> Tensor:
        """Return (b, k, 9): where rows (b, k, 9) go at times (b,) in 0..1, given what is asked."""
        angles = time[:, None] * self.frequencies  # (b, waves)
        waves = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
        x = self.embed(rows) + asked + self.embed_time(waves)[:, None]
        for block in self.blocks:
            x = block(x)
        return self.to_velocity(self.norm(x))

    def to_rows(self, actions: Tensor, done: Tensor) -> Tensor:
        """
        Return (b, k, 9), about -1..1, of actions (b, k, 8) and termination (b, k) in 0..1.

        Both quaternions of a rotation become the same row.
        """
        position = self.workspace.unit(actions[..., :3])
        orientation = actions[..., 3:7]
        flip = torch.where((orientation * self.down).sum(dim=-1, keepdim=True) < 0.0, -1.0, 1.0)
        rest = 2.0 * torch.stack([actions[..., 7], done], dim=-1) - 1.0
        return torch.cat([position, flip * orientation - self.down, rest], dim=-1)

    def to_chunk(self, rows: Tensor) -> Chunk:
        """Return what rows (b, k, 9) stand for; outside of the workspace the nearest inside."""
        chances = ((rows[..., 7:] + 1.0) / 2.0).clamp(0.001, 0.999)
        logits = torch.logit(chances)
        return Chunk(
            self.workspace(rows[..., :3].clamp(-1.0, 1.0)),
            unit_quaternion(rows[..., 3:7]),
            logits[..., 0],
            logits[..., 1],
        )

    def loss(
        self, tokens: Tensor, mask: Tensor | None, target: Tensor, random: torch.Generator
    ) -> Tensor:
        """
        Return (b, k), the mean squared error of the velocity at a random place of the way.

        ``target`` (b, k, 9) is what ``to_rows`` makes of the demonstrated chunk.
        """
        noise = torch.randn(target.shape, generator=random).to(target.device)
        time = torch.rand(target.shape[0], generator=random).to(target.device)
        there = time[:, None, None]
        rows = (1.0 - there) * noise + there * target
        velocity = self.velocity(rows, time, self.readout(tokens, mask))
        return (velocity - (target - noise)).square().mean(dim=-1)
