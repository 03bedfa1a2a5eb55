"""
Attention over a map as a measurement: where something is on the table.

A key point is the expected table coordinate under the attention: a soft argmax (Levine et al.
2016). In use only the surroundings of the peak count: a tenth of the attention on a thing of the
same colour half a metre away would otherwise move the key point by centimetres. In training all
of it counts, for that very error teaches to tell the two apart.
"""

from __future__ import annotations

import torch
from torch import Tensor


def neighbours(rows: int, columns: int, reach: int) -> Tensor:
    """Return (c, c) bool: which cells are at most ``reach`` rows and columns apart."""
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    return (places[:, None] - places).abs().amax(dim=-1) <= reach


def point_at(
    scores: Tensor, xy: Tensor, cells: Tensor, near: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """
    Return attention (f * m, c), key points (f * m, 2) in m, and features (f * m, width) there.

    ``scores`` (f, m, c): m attentions to each of f maps; ``xy`` (f, c, 2) m: where on the table
    each cell looks; ``cells`` (f, c, width): its features; ``near`` (c, c): see ``neighbours``,
    None to let everything count.
    """
    attention = torch.softmax(scores, dim=-1)
    around = attention
    if near is not None:
        around = attention * near[attention.argmax(dim=-1)]
        around = around / around.sum(dim=-1, keepdim=True)
    # Not a matrix product: mixed precision would round coordinates to centimetres.
    points = (around[:, :, :, None] * xy[:, None]).sum(dim=2)
    features = around @ cells
    return attention.flatten(0, 1), points.flatten(0, 1), features.flatten(0, 1)


def ground_behind(point: Tensor, camera_position: Tensor, plane_m: float) -> Tensor:
    """
    Return (b, 2) m: where the ray from a camera (3,) through points (b, 3) meets a plane.

    The plane is ``plane_m`` above the table. Where the hand is seen beside where it is measured to
    be tells how far off the camera is.
    """
    drop = (camera_position[2] - point[:, 2:3]).clamp(min=0.05)
    share = (camera_position[2] - plane_m) / drop
    return camera_position[:2] + share * (point[:, :2] - camera_position[:2])
