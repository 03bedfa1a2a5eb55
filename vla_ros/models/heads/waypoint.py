"""
A chunk as the straight move to a waypoint that is told relative to where the words look.

What is done follows from the task and the places of things, as a net modulated by the one says of
the other, so it can also be rehearsed without any picture.
"""

import math

import torch
from torch import nn, Tensor

from vla_ros.models.heads.chunk import Chunk
from vla_ros.models.heads.readout import Readout
from vla_ros.models.layers.film import FilmMlp
from vla_ros.models.layers.gaze import Looks
from vla_ros.models.layers.moment import MOMENT, moment, WAYPOINT, waypoint
from vla_ros.models.layers.pointing import ground_behind
from vla_ros.models.layers.straight_move import nearest_yaw, StraightMove, tool_yaw
from vla_ros.models.registry import PolicySpec
from vla_ros.models.vision.cells import OBJECT_PLANE_M


class WaypointHead(nn.Module):
    """Fused tokens, what words look at, the task and the robot's state (b, 8) to a Chunk."""

    camera_position: Tensor
    names_zone: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, width: int, heads: int, spec: PolicySpec, hidden: int = 128) -> None:
        super().__init__()
        # TorchScript sees attributes but no globals.
        self.plane_m, self.max_yaw_rad = OBJECT_PLANE_M, math.radians(60.0)
        self.tasks, self.width = len(spec.tasks), width
        self.readout = Readout(width, heads, queries=1)
        self.trust = nn.Parameter(torch.tensor(0.5))  # of what the hand tells about the camera
        self.act = FilmMlp(width + MOMENT, self.tasks, hidden, WAYPOINT + 4)
        self.move = StraightMove(spec.horizon, spec.dt_s, spec.speed_m_s, spec.angular_speed_rad_s)
        position = torch.from_numpy(spec.camera.base_from_camera.position).float()
        self.register_buffer('camera_position', position, persistent=False)
        names_zone = torch.tensor([float(task in spec.zone_tasks) for task in spec.tasks])
        self.register_buffer('names_zone', names_zone, persistent=False)
        self.register_buffer('low', torch.tensor(spec.workspace_min), persistent=False)
        self.register_buffer('high', torch.tensor(spec.workspace_max), persistent=False)

    def forward(
        self, tokens: Tensor, mask: Tensor, looks: Looks, task_logits: Tensor, state: Tensor
    ) -> Chunk:
        """
        Return the chunk of every row.

        ``tokens`` (b, t, width) are fused ones and ``mask`` (b, t) is true where there is one;
        ``task_logits`` (b, tasks) are taught what they mean, not by what is done about them.
        """
        there = torch.ones_like(looks.points[:, :, 0], dtype=torch.bool)
        tokens, mask = torch.cat([tokens, looks.tokens], dim=1), torch.cat([mask, there], dim=1)
        task = task_logits.detach().float().softmax(dim=-1)
        return self.chunk(task, self.readout(tokens, mask)[:, 0], looks.points, state)

    def rehearse(self, task: Tensor, points: Tensor, state: Tensor) -> Chunk:
        """Return the chunks for tasks (b,) with what is looked at at ``points`` (b, LOOKS, 2)."""
        chosen = torch.nn.functional.one_hot(task, self.tasks).float()
        nothing = torch.zeros([task.shape[0], self.width], device=task.device)
        return self.chunk(chosen, nothing, points, state)

    def chunk(self, task: Tensor, read: Tensor, points: Tensor, state: Tensor) -> Chunk:
        """
        Return the chunks for the chance of each task (b, tasks).

        ``read`` (b, width) is what else the tokens say; ``points`` (b, LOOKS, 2) are seen.
        """
        thing, zone, hand = points.unbind(1)
        error = hand - ground_behind(state, self.camera_position, self.plane_m)
        object_point = thing - self.trust * error
        # A task that names no zone is one whose zone is where the object is.
        named = (task * self.names_zone).sum(dim=-1, keepdim=True)
        zone_point = object_point + named * (zone - thing)
        numbers = moment(state, object_point, zone_point, thing - hand, error)
        out = self.act(torch.cat([read, numbers], dim=-1), task).float()
        own_xy = state[:, :2]
        goal = waypoint(out[:, :8], object_point, zone_point, own_xy, self.low, self.high)
        yaw = nearest_yaw(out[:, 8:10], tool_yaw(state[:, 3:7]), self.max_yaw_rad)
        rows = self.move(state, goal, yaw, out[:, 10])
        done = out[:, 11:].expand(-1, rows.shape[1])
        return Chunk(rows[..., :3], rows[..., 3:7], rows[..., 7], done)
