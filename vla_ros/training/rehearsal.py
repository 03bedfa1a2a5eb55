"""
What to do once the words are read and things are found: from frames, without pictures or words.

That costs next to nothing, so a step can rehearse thousands of situations. What is rare in them,
such as to go down on a thing or to let go of it, is seldom among the few that a step shows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.interfaces import REFUSALS


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
    """Return every answer of the expert to ``frames`` (f,), the records of demonstrations."""
    labels = frames['labels']  # (f, m)
    rows = np.repeat(np.arange(len(frames)), labels.shape[1])
    told = labels.reshape(-1)
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
