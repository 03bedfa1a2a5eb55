"""Pictures as the things in them: what a detector would find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from examples.table import Table
from vla_ros.sim.scene import OBJECT_NAMES
from vla_ros.sim.tasks import Task
from vla_ros.training.demonstrations import ZONE_NAMES

#: What a region can be of; the hand is the last.
NAMES = (*OBJECT_NAMES, *ZONE_NAMES, 'hand')
#: Pixels of a region each way, and of a cell of its feature.
_REGION_PX, _CELL_PX = 16, 2


class Regions(NamedTuple):
    """
    All that can be seen in b pictures, a region for each of c names.

    ``features`` (b, c, d): the pixels around it, coarse; ``places`` (b, c, 2) in 0..1; ``there``
    (b, c) bool.
    """

    features: Tensor
    places: Tensor
    there: Tensor


def regions_of(table: Table) -> Regions:
    frames = table.frames
    pixels = np.concatenate(
        [frames['object_px'], frames['zone_px'], frames['hand_px'][:, None]], axis=1
    )
    there, half = np.isfinite(pixels[..., 0]), _REGION_PX // 2
    image = np.pad(frames['image'], [(0, 0), (half, half), (half, half), (0, 0)], 'edge')
    size_px, cells = frames['image'].shape[1], _REGION_PX // _CELL_PX
    corner = np.nan_to_num(pixels).round().clip(0, size_px - 1).astype(int)  # in the padded one
    features = np.zeros((*there.shape, 3 * cells**2), np.float32)
    for row, name in zip(*np.nonzero(there), strict=True):
        u, v = corner[row, name]
        cut = image[row, v : v + _REGION_PX, u : u + _REGION_PX] / 255.0
        cut = cut.reshape(cells, _CELL_PX, cells, _CELL_PX, 3)
        features[row, name] = cut.mean(axis=(1, 3)).reshape(-1)
    places = torch.from_numpy(np.nan_to_num(pixels) / size_px).float()
    return Regions(torch.from_numpy(features), places, torch.from_numpy(there))


def named_by(tasks: Sequence[Task]) -> Tensor:
    """Return (b, c) bool: which of the names a command for each task says."""
    said = [{task.object, task.zone} for task in tasks]
    return torch.tensor([[name in names for name in NAMES] for names in said])
