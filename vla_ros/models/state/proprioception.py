"""
What the robot measures of itself, as one token.

A quaternion and its negative are the same turn, and noise flips between them; the net gets the
first two columns of the rotation matrix instead, which have no such jumps (Zhou et al. 2019).
"""

from collections.abc import Sequence

import torch
from torch import nn, Tensor


class ProprioceptionEncoder(nn.Module):
    """
    State (b, s), in the manifest's channels, to a token (b, 1, width).

    ``mean`` and ``std`` (s,) of each channel normalise all but the quaternion, whose four
    channels x, y, z, w begin at ``quaternion``; None if there is none. Raises ValueError for
    lengths that differ, a std that is not positive or a quaternion outside the channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        width: int,
        quaternion: int | None = None,
    ) -> None:
        super().__init__()
        channels = len(mean)
        if len(std) != channels or not all(value > 0.0 for value in std):
            raise ValueError(f'got std {list(std)}, expected {channels} positive numbers')
        if quaternion is not None and not 0 <= quaternion <= channels - 4:
            raise ValueError(f'a quaternion at {quaternion} is not within {channels} channels')
        self.quaternion = -1 if quaternion is None else quaternion
        self.register_buffer('mean', torch.tensor(list(mean)))
        self.register_buffer('std', torch.tensor(list(std)))
        inputs = channels if quaternion is None else channels + 2
        self.encode = nn.Sequential(
            nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width)
        )

    def forward(self, state: Tensor) -> Tensor:
        x = (state - self.mean) / self.std
        at = self.quaternion
        if at >= 0:
            turn = _two_columns(state[:, at : at + 4])
            x = torch.cat([x[:, :at], turn, x[:, at + 4 :]], dim=-1)
        return self.encode(x)[:, None]


def _two_columns(quaternion: Tensor) -> Tensor:
    """Return (b, 6): two columns of the rotation matrices of quaternions (b, 4), not unit ones."""
    length = torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    x, y, z, w = (quaternion / length.clamp(min=1e-6)).unbind(-1)
    return torch.stack(
        [
            1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + z * w), 2.0 * (x * z - y * w),
            2.0 * (x * y - z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + x * w),
        ],
        dim=-1,
    )  # fmt: skip
