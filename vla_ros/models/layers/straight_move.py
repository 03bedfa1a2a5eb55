"""A chunk of poses on the straight way to a waypoint, at bounded speed."""

import math

import torch
from torch import nn, Tensor


def tool_yaw(quaternion: Tensor) -> Tensor:
    """Return (b,) rad: the heading of the tool's x axis, of quaternions (b, 4) x, y, z, w."""
    x, y, z, w = quaternion.unbind(-1)
    return torch.atan2(2.0 * (x * y + z * w), 1.0 - 2.0 * (y * y + z * z))


def gripper_down(yaw: Tensor) -> Tensor:
    """Return quaternions (..., 4) of a tool that points down, turned by ``yaw`` (...)."""
    nought = torch.zeros_like(yaw)
    return torch.stack([torch.cos(yaw / 2.0), torch.sin(yaw / 2.0), nought, nought], dim=-1)


def nearest_yaw(vector: Tensor, now: Tensor, most_rad: float) -> Tensor:
    """
    Return the yaw (b,) rad nearest to ``now`` (b,) among those that ``vector`` (b, 2) means.

    ``vector`` is along the cosine and sine of four times the yaw, for a block looks the same after
    a quarter turn. None is beyond ``most_rad`` if a quarter turn back is not.
    """
    quarter = math.pi / 2.0
    yaw = torch.atan2(vector[:, 1], vector[:, 0]) / 4.0
    turns = torch.tensor([0.0, -quarter, quarter], device=yaw.device)
    choices = yaw[:, None] + turns  # (b, 3)
    # Beyond the limit a quarter turn back is as good and winds up less.
    cost = (choices - now[:, None]).abs() + 10.0 * (choices.abs() > most_rad)
    return choices.gather(1, cost.argmin(dim=1, keepdim=True)).squeeze(1)


class StraightMove(nn.Module):
    """
    Rows of pose and gripper, ``dt_s`` apart, from the measured state to a waypoint.

    The position moves straight at ``speed_m_s`` and the yaw turns at ``angular_speed_rad_s``; each
    stays once it is there. The gripper is wanted at once. The first row is the measured pose,
    with the tool upright.
    """

    time_s: Tensor

    def __init__(
        self, horizon: int, dt_s: float, speed_m_s: float, angular_speed_rad_s: float
    ) -> None:
        super().__init__()
        self.speed_m_s = speed_m_s
        self.angular_speed_rad_s = angular_speed_rad_s
        self.register_buffer('time_s', torch.arange(horizon) * dt_s, persistent=False)

    def forward(self, state: Tensor, position: Tensor, yaw: Tensor, gripper: Tensor) -> Tensor:
        """
        Return actions (b, k, 8): position, quaternion, gripper.

        ``state`` (b, 8) holds the measured pose and gripper, ``position`` (b, 3), ``yaw`` (b,)
        rad and ``gripper`` (b,) are the waypoint.
        """
        start = state[:, None, :3]  # (b, 1, 3)
        way = position[:, None] - start
        distance = torch.linalg.vector_norm(way, dim=-1, keepdim=True).clamp(min=1e-6)
        time_s = self.time_s[None, :, None]  # (1, k, 1)
        path = start + way * (self.speed_m_s * time_s / distance).clamp(max=1.0)

        now = tool_yaw(state[:, 3:7])[:, None]  # (b, 1)
        turn = yaw[:, None] - now
        turn = torch.atan2(torch.sin(turn), torch.cos(turn))
        most = self.angular_speed_rad_s * self.time_s[None]  # (1, k)
        turned = now + torch.sign(turn) * torch.minimum(turn.abs(), most)  # (b, k)

        closing = gripper[:, None, None].expand(-1, path.shape[1], 1)
        return torch.cat([path, gripper_down(turned), closing], dim=-1)
