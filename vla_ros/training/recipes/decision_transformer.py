"""The decision transformer learns to act with what was really to go, and to guess that."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_ros.interfaces import POSE_CHANNELS
from vla_ros.models.contract import Learned
from vla_ros.models.policies.decision_transformer import DecisionTransformerPolicy
from vla_ros.training.losses import class_loss
from vla_ros.training.recipes.imitation import ImitationRecipe, Shown

#: A pose that changes by less, m or 1, rests.
_STILL = 1e-5


class DecisionTransformerRecipe(ImitationRecipe):
    """Imitation, with the demonstrated return-to-go in the sequence."""

    _policy: DecisionTransformerPolicy

    def _learn(self, shown: Shown) -> Learned:
        to_go = rows_to_go(shown.actions)
        output, logits = self._policy.decide(*shown.given, to_go)
        return Learned(output, {'to_go': class_loss(logits.float(), to_go)})


def rows_to_go(actions: Tensor) -> Tensor:
    """
    Return (b,) int64: after how many rows of actions (b, k, a) the last pose is reached.

    k - 1 also where it is not reached at all. -1 where there are NaN.
    """
    pose = actions[..., : len(POSE_CHANNELS)]
    moves = (pose.diff(dim=1).abs() > _STILL).any(dim=-1)  # (b, k - 1)
    row = torch.arange(1, pose.shape[1], device=pose.device)
    to_go = (moves * row).amax(dim=1)
    return torch.where(pose.isfinite().flatten(1).all(dim=1), to_go, -1)
