"""
A policy of one's own as a file that the nodes run: this one points at whatever is red.

It learned nothing, so all of it is here: what a policy is given, what it returns, and what its
manifest says. ``docs/own_policy.md`` tells the rest.

    python -m examples.own_policy out/red.pt
    vla-ros up sim --policy-path out/red.pt      # and: vla-ros say "point at the red block"
"""

import argparse
from pathlib import Path

import torch
from torch import nn, Tensor

from vla_ros.interfaces import (
    ABSENT_TASK,
    BASE_FRAME,
    CameraModel,
    GRIPPER_CHANNEL,
    NO_TASK,
    POSE_CHANNELS,
    STATE_CHANNELS,
)
from vla_ros.models.contract import PolicyOutput
from vla_ros.models.export import export_policy
from vla_ros.models.layers.pointing import neighbours, point_at
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.models.vision.cells import cells_on_table, NORMALISATION
from vla_ros.pipeline.manifest import Camera, channels, PolicyManifest, TextEncoderPin
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look

SIZE_PX, CELL_PX = 96, 4
HORIZON, DT_S = 10, 0.1
ABOVE_M = 0.085  # the gripper points from so high
SEEN_M = 0.035  # what is seen of a thing is mostly its upper half
TASKS = (NO_TASK, ABSENT_TASK, 'point')


class PointsAtRed(nn.Module):
    """Under the policy contract, ``vla_ros.models.contract``; scriptable."""

    xy: Tensor
    near: Tensor

    def __init__(self, camera: CameraModel) -> None:
        super().__init__()
        self.cell_px, self.above_m, self.arrived_m = CELL_PX, ABOVE_M, 0.01
        self.move = StraightMove(HORIZON, DT_S, speed_m_s=0.2, angular_speed_rad_s=0.5)
        # Where on the table each cell of the picture looks, m.
        self.register_buffer('xy', cells_on_table(camera, CELL_PX, SEEN_M))
        rows, columns = camera.height // CELL_PX, camera.width // CELL_PX
        # One thing is looked at, not the middle between two.
        self.register_buffer('near', neighbours(rows, columns, reach=2))

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        colour = nn.functional.avg_pool2d(image[:, 0].float() / 255.0, self.cell_px)
        red = colour[:, 0] - colour[:, 1:].amax(dim=1)  # (b, rows, columns)
        scores = 20.0 * red.flatten(1)[:, None]  # (b, 1, cells)
        where = self.xy.expand(red.shape[0], -1, -1)
        look, place, _ = point_at(scores, where, where, self.near)
        height = torch.full_like(place[:, :1], self.above_m)
        goal = torch.cat([place, height], dim=1)
        open_ = torch.zeros_like(goal[:, 0])
        actions = self.move(state, goal, yaw=open_, gripper=open_)  # (b, HORIZON, 8)
        there = torch.linalg.vector_norm(goal - state[:, :3], dim=1) < self.arrived_m
        is_red = 20.0 * (red.flatten(1).amax(dim=1) - 0.3)
        # Chances are softmaxed: a command without words is none, a table without red has it not.
        is_none = torch.where(text_mask.any(dim=1), -20.0, 20.0)
        looks = look.view_as(red)[:, None] * text_mask[:, :, None, None]
        return PolicyOutput(
            actions,
            there.float()[:, None].expand(-1, actions.shape[1]),
            torch.stack([is_none, -is_red, is_red], dim=1),
            looks,
        )


def export(path: Path) -> PolicyManifest:
    """Write the policy at ``path`` with its manifest beside it."""
    encoder = load_text_encoder()
    rows = SIZE_PX // CELL_PX
    manifest = {
        'name': 'points_at_red',
        'cameras': (Camera('front', SIZE_PX, SIZE_PX, NORMALISATION),),
        'text_encoder': TextEncoderPin(encoder.id, encoder.sha256, encoder.width, MAX_TOKENS),
        'state_channels': channels(STATE_CHANNELS),
        'action_channels': channels((*POSE_CHANNELS, GRIPPER_CHANNEL)),
        'frame_id': BASE_FRAME,
        'absolute': True,
        'dt_s': DT_S,
        'horizon': HORIZON,
        'grid': (rows, rows),
        'attention': 'cross_attention',
        'tasks': TASKS,
        'training_data': 'none: written by hand',
        'metrics': {},
        'licence': 'Apache-2.0',
    }
    # On a robot: the calibration of its own camera.
    return export_policy(PointsAtRed(camera_model(Look(), SIZE_PX, SIZE_PX)), manifest, path)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('path', nargs='?', type=Path, default=Path('out/red.pt'))
    target = parser.parse_args().path
    print(f'{target}: {export(target).name}')
