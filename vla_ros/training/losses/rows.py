"""Losses that are means over the rows that they apply to; what nobody knows does not count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: One unit of a position loss, and where it turns from square to linear: m. Mostly linear, for
#: the middle of what an expert may do is better than its mean: half open is neither.
_UNIT_M, _LINEAR_M = 0.05, 0.002


def position_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss of positions (r, x) in m; rows with a NaN target do not count."""
    known = target.isfinite().all(dim=-1)
    loss = functional.smooth_l1_loss(
        predicted / _UNIT_M, target.nan_to_num() / _UNIT_M, beta=_LINEAR_M / _UNIT_M,
        reduction='none',
    )  # fmt: skip
    return mean_known(loss.sum(dim=-1), known)


def heat_loss(attention: Tensor, pixels: Tensor, cells: Tensor, sigma_px: float) -> Tensor:
    """
    Return the cross-entropy between attention (r, c) and a Gaussian at its true ``pixels`` (r, 2).

    ``cells`` (c, 2) are the pixels of the cells. Rows with NaN pixels do not count.
    """
    known = pixels.isfinite().all(dim=-1)
    squares = (pixels.nan_to_num()[:, None] - cells).square().sum(dim=-1)  # (r, c)
    heat = torch.softmax(-squares / (2.0 * sigma_px**2), dim=-1)
    return mean_known(-(heat * attention.clamp(min=1e-8).log()).sum(dim=-1), known)


def part_loss(scores: Tensor, pixels: Tensor, cells: Tensor, sigma_px: float) -> Tensor:
    """
    Return the cross-entropy between maps and all the places that each of them is about.

    ``scores`` (f, p, c): p maps of each of f pictures; ``pixels`` (f, p, k, 2): where the k things
    are that a map is about, NaN for what is not there; ``cells`` (c, 2). So the map of a shape
    finds it in every colour, and that of a colour every shape: new pairs compose.
    """
    known = pixels.isfinite().all(dim=-1)  # (f, p, k)
    squares = (pixels.nan_to_num()[:, :, :, None] - cells).square().sum(dim=-1)  # (f, p, k, c)
    each = torch.softmax(-squares / (2.0 * sigma_px**2), dim=-1) * known[..., None]
    heat = each.sum(dim=2) / known.sum(dim=2).clamp(min=1)[..., None]
    loss = -(heat * scores.float().log_softmax(dim=-1)).sum(dim=-1)
    return mean_known(loss, known.any(dim=2))


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the cross-entropy of logits (r, t) and classes (r,); -1 does not count."""
    return mean_known(
        functional.cross_entropy(logits, classes, ignore_index=-1, reduction='none'), classes >= 0
    )


def chance_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a logit (r,) and a target in 0..1; NaN does not count."""
    loss = functional.binary_cross_entropy_with_logits(
        logit, target.nan_to_num(), reduction='none'
    )
    return mean_known(loss, target.isfinite())


def mean_known(values: Tensor, known: Tensor) -> Tensor:
    """Return the mean of the values (any shape) that are known (bool), 0 where none is."""
    return (values * known).sum() / known.sum().clamp(min=1)
