"""Pixels as networks want them, and what the cells of a map over the picture look at."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vla_ros.interfaces import CameraModel
from vla_ros.pipeline.manifest import Normalisation

#: RGB in 0..1 is normalised to -1..1.
NORMALISATION = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
#: Height of the plane that objects are measured on: that of their centres.
OBJECT_PLANE_M = 0.022


def normalised(image: Tensor) -> Tensor:
    """Return the first camera's (b, 3, h, w) in -1..1 of images (b, c, 3, h, w) uint8."""
    return (image[:, 0].float() / 255.0 - 0.5) / 0.5


def cell_pixels(camera: CameraModel, stride: int) -> np.ndarray:
    """Return (c, 2): the pixel (u, v) in the middle of each cell, row by row."""
    u = np.arange(camera.width // stride) * stride + (stride - 1) / 2.0
    v = np.arange(camera.height // stride) * stride + (stride - 1) / 2.0
    return np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)


def cells_on_table(camera: CameraModel, stride: int, height_m: float) -> Tensor:
    """Return (c, 2) m: where each cell's ray meets the plane at ``height_m``."""
    xy = camera.on_plane(cell_pixels(camera, stride), height_m)[:, :2]
    # Cells above the horizon see no table; far away is near enough.
    return torch.from_numpy(np.nan_to_num(np.clip(xy, -1.5, 1.5), nan=-1.5)).float()
