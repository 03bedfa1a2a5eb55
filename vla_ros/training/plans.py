"""
Which steps an expert has yet to take, told from what it would do next.

The expert has no memory, so each of its answers belongs to one step; the steps after it are those
of the task. See ``vla_ros.sim.expert``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vla_ros.models.heads.plan import END
from vla_ros.models.policies.embodied import PLAN_LENGTH, STEPS
from vla_ros.sim.expert import PLACE_M, PUSH_M, RETREAT_M
from vla_ros.sim.tasks import KINDS
from vla_ros.training.batches import Batch

#: What each kind of task takes.
_STEPS_OF = {
    'point': ('reach',),
    'pick': ('reach', 'grasp', 'carry'),
    'push': ('reach', 'push', 'leave'),
    'put': ('reach', 'grasp', 'carry', 'release', 'leave'),
}
_SAME_M = 1e-3


def _rest(kind: str, step: str) -> list[int]:
    """Return (PLAN_LENGTH,) of what is left of a task of a kind that is at a step."""
    steps = _STEPS_OF[kind]
    left = steps[steps.index(step) :] if step in steps else (step, *steps)
    places = [1 + STEPS.index(name) for name in left]
    return places + [END] * (PLAN_LENGTH - len(places))


#: (kinds, steps, PLAN_LENGTH)
_RESTS = torch.tensor([[_rest(kind, step) for step in STEPS] for kind in KINDS])


def plans(frames: Batch) -> Tensor:
    """
    Return (r, PLAN_LENGTH) int64: 1 + the place of each step among ``STEPS``, then END.

    There is nothing to do where a task is fulfilled, or where nothing is asked for. What the
    expert would do is not known of things that are not there: -1.
    """
    kind = frames.meaning.task - 1
    rest = _RESTS.to(kind.device)[kind.clamp(min=0), _step(frames)]
    idle = (kind < 0) | (frames.done > 0.5)
    rest = rest.masked_fill(idle[:, None], END)
    return rest.masked_fill(frames.position.isnan().any(dim=1)[:, None], -1)


def is_holding(state: Tensor) -> Tensor:
    """Return (r,) bool: the hand of states (r, 8) is closed, but something keeps it half open."""
    return (state[:, 7] > 0.3) & (state[:, 7] < 0.8)


def _step(frames: Batch) -> Tensor:
    """Return (r,): the place among ``STEPS`` of what the expert would do now."""
    kind, own, goal = frames.meaning.task - 1, frames.state, frames.position
    holds, closes = is_holding(own), frames.gripper > 0.5
    grasps = (kind == KINDS.index('pick')) | (kind == KINDS.index('put'))
    straight = (goal[:, :2] - own[:, :2]).abs().amax(dim=1) < _SAME_M  # up or down
    at_table = own[:, 2] < PUSH_M + 0.02
    stays_there = (goal[:, 2] - PUSH_M).abs() < _SAME_M
    step = torch.full_like(kind, STEPS.index('reach'))
    for name, is_taken in (  # the last one that is taken counts
        ('grasp', grasps & closes),
        ('carry', grasps & closes & holds),
        ('release', grasps & ~closes & holds),
        ('push', (kind == KINDS.index('push')) & closes & at_table & stays_there),
        ('leave', ~holds & straight & ((goal[:, 2] - RETREAT_M).abs() < _SAME_M)),
        # What it should not hold is set down where it is.
        ('set_down', holds & (~grasps | straight & ((goal[:, 2] - PLACE_M).abs() < _SAME_M))),
    ):
        step = step.masked_fill(is_taken, STEPS.index(name))
    return step
