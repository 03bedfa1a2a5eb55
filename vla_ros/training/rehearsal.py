"""
What to do once the words are read and things are found: from frames, without pictures or words.

That costs next to nothing, so a step can rehearse thousands of situations. What is rare in them,
such as to go down on a thing or to let go of it, is seldom among the few that a step shows. Where
the robot holds something that it should not, which only a picture tells, nothing is rehearsed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.interfaces import REFUSALS
from vla_ros.sim.tasks import KINDS

#: A thing is held if it is so near the hand, m, and the fingers are so far closed.
_AT_HAND_M, _CLOSED = 0.025, 0.3
_HOLDING = tuple(KINDS.index(kind) for kind in ('pick', 'put'))


class Rehearsal(NamedTuple):
    """
    r situations and what the expert would do in each.

    ``task`` (r,) is the place among the task logits. Where object, zone and hand are seen:
    ``seen_px`` (r, 3, 2), NaN for what is not named or not seen; ``state`` (r, 8). The expert's
    answer: ``position`` (r, 3) m, ``yaw`` (r,) rad, ``gripper`` and ``done`` (r,) in 0..1.
    """

    task: Tensor
    seen_px: Tensor
    state: Tensor
    position: Tensor
    yaw: Tensor
    gripper: Tensor
    done: Tensor


def rehearsal_of(frames: NDArray) -> Rehearsal:
    """Return the answers of the expert to ``frames`` (f,), the records of demonstrations."""
    rows, columns = np.nonzero(~_holds_another(frames))
    told = frames['labels'][rows, columns]
    zone_px = frames['zone_px'][rows, told['zone']].astype(np.float32)
    zone_px[told['zone'] < 0] = np.nan
    seen_px = [frames['object_px'][rows, told['object']], zone_px, frames['hand_px'][rows]]

    def tensor(values: NDArray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    return Rehearsal(
        task=torch.from_numpy(told['kind'].astype(np.int64)) + len(REFUSALS),
        seen_px=tensor(np.stack(seen_px, axis=1)),
        state=tensor(frames['state'][rows]),
        position=tensor(told['position']),
        yaw=tensor(told['yaw']),
        gripper=tensor(told['gripper']),
        done=tensor(told['done']),
    )


def _holds_another(frames: NDArray) -> NDArray[np.bool_]:
    """Return (f, m): whether the robot holds what it should not, as it does each task."""
    labels, state = frames['labels'], frames['state']
    away_m = np.linalg.norm(frames['object_xyz'] - state[:, None, :3], axis=-1)  # (f, objects)
    held = (away_m < _AT_HAND_M) & (state[:, 7:] > _CLOSED)
    named = np.take_along_axis(held, labels['object'].astype(np.int64), axis=1)  # (f, m)
    may_hold = np.isin(labels['kind'], _HOLDING)
    return held.sum(axis=1)[:, None] > (named & may_hold)
