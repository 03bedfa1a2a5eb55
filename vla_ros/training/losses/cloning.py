"""Behaviour cloning: a chunk is to be what was demonstrated."""

from __future__ import annotations

from torch import Tensor

from vla_ros.models.heads.chunk import Chunk
from vla_ros.training.losses.rows import chance_loss, mean_known, position_loss


def cloning_losses(chunk: Chunk, actions: Tensor, done: Tensor) -> dict[str, Tensor]:
    """
    Return the losses of position, orientation, gripper and termination, by name.

    ``actions`` (..., k, 8) and ``done`` (..., k) in 0..1 were demonstrated; what is NaN in them
    does not count. That of the orientation is the squared sine of half the angle in between, so
    both quaternions of a rotation are right.
    """
    orientation = actions[..., 3:7]
    alike = (chunk.orientation * orientation.nan_to_num()).sum(dim=-1)
    return {
        'position': position_loss(chunk.position, actions[..., :3]),
        'orientation': mean_known(1.0 - alike.square(), orientation.isfinite().all(dim=-1)),
        'gripper': chance_loss(chunk.gripper_logit, actions[..., 7]),
        'termination': chance_loss(chunk.termination_logit, done),
    }
