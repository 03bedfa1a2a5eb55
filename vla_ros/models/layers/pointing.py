"""
Attention over a map as a measurement: where something is on the table.

A key point is the expected table coordinate under the attention: a soft argmax (Levine et al.
2016) over a map of coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor


def point_at(scores: Tensor, xy: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """
    Return attention (f * m, c), key points (f * m, 2) in m, and features (f * m, width) there.

    ``scores`` (f, m, c): m attentions to each of f maps; ``xy`` (f, c, 2) m: where on the table
    each cell looks; ``cells`` (f, c, width): its features.
    """
    attention = torch.softmax(scores, dim=-1)
    # Not a matrix product: mixed precision would round coordinates to centimetres.
    points = (attention[:, :, :, None] * xy[:, None]).sum(dim=2)
    features = attention @ cells
    return attention.flatten(0, 1), points.flatten(0, 1), features.flatten(0, 1)
