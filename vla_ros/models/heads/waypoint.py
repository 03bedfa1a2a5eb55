"""
A chunk as the straight move to a waypoint that is told relative to where the words look.

The waypoint is a mixture of those places and the hand's own, plus a small offset: a net that need
not remember coordinates learns from few pictures to be right by a centimetre.
"""

import math

import torch
from torch import nn, Tensor

from vla_ros.models.heads.chunk import Chunk
from vla_ros.models.heads.readout import Readout
from vla_ros.models.layers.gaze import Looks, NAMED
from vla_ros.models.layers.pointing import ground_behind
from vla_ros.models.layers.straight_move import nearest_yaw, StraightMove, tool_yaw
from vla_ros.models.registry import PolicySpec
from vla_ros.models.vision.cells import OBJECT_PLANE_M


class WaypointHead(nn.Module):
    """Fused tokens, what words look at and the robot's state (b, 8) to a Chunk."""

    camera_position: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, width: int, heads: int, spec: PolicySpec, hidden: int = 256) -> None:
        super().__init__()
        # TorchScript sees attributes but no globals.
        self.coarse_m, self.fine_m, self.offset_m = 0.1, 0.02, 0.08
        self.table_m, self.lift_m, self.plane_m = 0.03, 0.1, OBJECT_PLANE_M
        self.max_yaw_rad = math.radians(60.0)
        self.places = NAMED + 1  # object, zone, and where the hand is
        self.trust = nn.Parameter(torch.tensor(0.5))  # of what the hand tells about the camera
        self.readout = Readout(width, heads, queries=1)
        # To object and zone along x, y and straight; above the table; the camera's error.
        lengths = 3 * NAMED + 3
        outputs = self.places + 3 + 2 + 2
        self.to_move = nn.Sequential(
            nn.Linear(width + 2 * lengths + 4, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, outputs),
        )
        self.move = StraightMove(spec.horizon, spec.dt_s, spec.speed_m_s, spec.angular_speed_rad_s)
        position = torch.from_numpy(spec.camera.base_from_camera.position).float()
        self.register_buffer('camera_position', position, persistent=False)
        self.register_buffer('low', torch.tensor(spec.workspace_min), persistent=False)
        self.register_buffer('high', torch.tensor(spec.workspace_max), persistent=False)

    def forward(self, tokens: Tensor, mask: Tensor, looks: Looks, state: Tensor) -> Chunk:
        """
        Return the chunk of every row.

        ``tokens`` (b, t, width) are fused ones and ``mask`` (b, t) is true where there is one.
        """
        there = torch.ones_like(looks.points[:, :, 0], dtype=torch.bool)
        own = ground_behind(state, self.camera_position, self.plane_m)
        error = looks.points[:, -1] - own  # (b, 2): of the camera
        points = looks.points[:, :-1] - self.trust * error[:, None]
        tokens, mask = torch.cat([tokens, looks.tokens], dim=1), torch.cat([mask, there], dim=1)
        read = self.readout(tokens, mask)[:, 0]
        out = self.to_move(torch.cat([read, self._numbers(points, error, state)], dim=-1)).float()
        shares, offset, yaw, chances = out.split([self.places, 3, 2, 2], dim=-1)
        places = torch.cat([points, state[:, None, :2]], dim=1)  # (b, places, 2)
        # Not a matrix product: mixed precision would round coordinates to centimetres.
        xy = (shares.softmax(dim=-1)[:, :, None] * places).sum(dim=1)
        xy = xy + self.offset_m * torch.tanh(offset[:, :2])
        height = torch.sigmoid(offset[:, 2:])
        z = self.low[2] + (self.high[2] - self.low[2]) * height
        goal = torch.minimum(torch.maximum(torch.cat([xy, z], dim=-1), self.low), self.high)
        towards = nearest_yaw(yaw, tool_yaw(state[:, 3:7]), self.max_yaw_rad)
        rows = self.move(state, goal, towards, chances[:, 0])
        k = rows.shape[1]
        return Chunk(rows[..., :3], rows[..., 3:7], rows[..., 7], chances[:, 1:].expand(-1, k))

    def _numbers(self, points: Tensor, error: Tensor, state: Tensor) -> Tensor:
        """Return (b, numbers): the geometry of the moment, coarse and fine."""
        ways = points - state[:, None, :2]  # (b, NAMED, 2)
        far = torch.linalg.vector_norm(ways, dim=-1)  # (b, NAMED)
        above = state[:, 2:3] - self.table_m
        lengths = torch.cat([ways.flatten(1), far, above, error], dim=-1)
        yaw = tool_yaw(state[:, 3:7])[:, None]
        return torch.cat(
            [
                lengths / self.coarse_m,
                torch.tanh(lengths / self.fine_m),
                torch.tanh((state[:, 2:3] - self.lift_m) / self.fine_m),
                torch.sin(yaw),
                torch.cos(yaw),
                state[:, 7:8],
            ],
            dim=-1,
        )
