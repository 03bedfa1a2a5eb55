"""What policies are taught by: each loss is a mean over the rows that it applies to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vla_ros.interfaces import CameraModel
from vla_ros.models.policies.keypoint import cell_pixels, KeypointPolicy, OBJECT_PLANE_M, Seen
from vla_ros.models.text.reader import Reading
from vla_ros.models.vision.conv_map import ConvMap
from vla_ros.training.batches import Batch, on_table
from vla_ros.training.sentences import SentenceBatch

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
    return _mean(loss.sum(dim=-1), known)


def heat_loss(attention: Tensor, pixels: Tensor, cells: Tensor, sigma_px: float) -> Tensor:
    """
    Return the cross-entropy between attention (r, c) and a Gaussian at its true ``pixels`` (r, 2).

    ``cells`` (c, 2) are the pixels of the cells. Rows with NaN pixels do not count.
    """
    known = pixels.isfinite().all(dim=-1)
    squares = (pixels.nan_to_num()[:, None] - cells).square().sum(dim=-1)  # (r, c)
    heat = torch.softmax(-squares / (2.0 * sigma_px**2), dim=-1)
    return _mean(-(heat * attention.clamp(min=1e-8).log()).sum(dim=-1), known)


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
    return _mean(loss, known.any(dim=2))


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the cross-entropy of logits (r, t) and classes (r,); -1 does not count."""
    return _mean(
        functional.cross_entropy(logits, classes, ignore_index=-1, reduction='none'), classes >= 0
    )


def chance_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a logit (r,) and a target in 0..1; NaN does not count."""
    loss = functional.binary_cross_entropy_with_logits(
        logit, target.nan_to_num(), reduction='none'
    )
    return _mean(loss, target.isfinite())


def keypoint_losses(
    policy: KeypointPolicy, batch: Batch, seen: Seen, camera: CameraModel
) -> dict[str, Tensor]:
    """
    Return every loss of what the keypoint policy does, by name.

    ``seen`` is what it saw in the batch's pictures, ``camera`` the nominal one.
    """
    decision = policy.decide(seen, batch.meaning, batch.state)
    grid = torch.from_numpy(cell_pixels(camera, ConvMap.stride)).float()
    sigma_px = 0.6 * ConvMap.stride
    turn = torch.stack([torch.cos(4.0 * batch.yaw), torch.sin(4.0 * batch.yaw)], dim=-1)
    object_xy = on_table(batch.object_px, camera, OBJECT_PLANE_M)
    zone_xy = on_table(batch.zone_px, camera, 0.0)
    hand_xy = on_table(batch.hand_px, camera, OBJECT_PLANE_M)
    colours, shapes = policy.part_scores(seen)
    return {
        'position': position_loss(decision.position, batch.position),
        'yaw': _mean(
            (decision.yaw_vector - turn.nan_to_num()).square().sum(dim=-1), batch.yaw.isfinite()
        ),
        'gripper': chance_loss(decision.gripper_logit, batch.gripper),
        'termination': chance_loss(decision.termination_logit, batch.done),
        'there': chance_loss(decision.object_there_logit, batch.object_there)
        + chance_loss(decision.zone_there_logit, batch.zone_there),
        'heat': heat_loss(decision.object_attention, batch.object_px, grid, sigma_px)
        + heat_loss(decision.zone_attention, batch.zone_px, grid, sigma_px)
        + heat_loss(decision.hand_attention, batch.hand_px, grid, sigma_px),
        'parts': part_loss(colours, batch.colours_px, grid, sigma_px)
        + part_loss(shapes, batch.shapes_px, grid, sigma_px),
        'point': position_loss(decision.object_point, object_xy)
        + position_loss(decision.zone_point, zone_xy)
        + position_loss(decision.hand_point, hand_xy),
    }


def shape_losses(
    policy: KeypointPolicy, batch: Batch, seen: Seen, camera: CameraModel
) -> dict[str, Tensor]:
    """
    Return the loss of where shapes are, by name, for pictures whose colours mean nothing.

    ``seen`` is what the policy saw in the first recoloured pictures of the batch.
    """
    grid = torch.from_numpy(cell_pixels(camera, ConvMap.stride)).float()
    shapes = policy.part_scores(seen)[1]
    pixels = batch.shapes_px[: len(shapes)]
    return {'shapes': part_loss(shapes, pixels, grid, 0.6 * ConvMap.stride)}


def reading_losses(reading: Reading, batch: SentenceBatch) -> dict[str, Tensor]:
    """Return every loss of what a reader makes of sentences, by name."""
    return {
        'task': class_loss(reading.task, batch.task),
        'words': class_loss(reading.colour, batch.colour)
        + class_loss(reading.shape, batch.shape)
        + class_loss(reading.zone, batch.zone),
    }


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp(min=1)
