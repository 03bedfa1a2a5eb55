"""What the keypoint policy is taught by."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_ros.interfaces import CameraModel
from vla_ros.models.policies.keypoint import KeypointPolicy, Seen
from vla_ros.models.text.reader import Reading
from vla_ros.models.vision.cells import cell_pixels, OBJECT_PLANE_M
from vla_ros.models.vision.conv_map import ConvMap
from vla_ros.training.batches import Batch, on_table
from vla_ros.training.losses.rows import (
    chance_loss,
    class_loss,
    heat_loss,
    mean_known,
    part_loss,
    position_loss,
)
from vla_ros.training.sentences import SentenceBatch


def keypoint_losses(
    policy: KeypointPolicy, batch: Batch, seen: Seen, camera: CameraModel
) -> dict[str, Tensor]:
    """
    Return every loss of what the keypoint policy does, by name.

    ``seen`` is what it saw in the batch's pictures, ``camera`` the nominal one.
    """
    decision = policy.decide(seen, batch.meaning, batch.state)
    grid = _grid(camera, batch)
    sigma_px = 0.6 * ConvMap.stride
    turn = torch.stack([torch.cos(4.0 * batch.yaw), torch.sin(4.0 * batch.yaw)], dim=-1)
    object_xy = on_table(batch.object_px, camera, OBJECT_PLANE_M)
    zone_xy = on_table(batch.zone_px, camera, 0.0)
    hand_xy = on_table(batch.hand_px, camera, OBJECT_PLANE_M)
    colours, shapes = policy.part_scores(seen)
    return {
        'position': position_loss(decision.position, batch.position),
        'yaw': mean_known(
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
    grid = _grid(camera, batch)
    shapes = policy.part_scores(seen)[1]
    pixels = batch.shapes_px[: len(shapes)]
    return {'shapes': part_loss(shapes, pixels, grid, 0.6 * ConvMap.stride)}


def _grid(camera: CameraModel, batch: Batch) -> Tensor:
    return torch.from_numpy(cell_pixels(camera, ConvMap.stride)).float().to(batch.state.device)


def reading_losses(reading: Reading, batch: SentenceBatch) -> dict[str, Tensor]:
    """Return every loss of what a reader makes of sentences, by name."""
    return {
        'task': class_loss(reading.task, batch.task),
        'words': class_loss(reading.colour, batch.colour)
        + class_loss(reading.shape, batch.shape)
        + class_loss(reading.zone, batch.zone),
    }
