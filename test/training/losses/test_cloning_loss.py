import math

import pytest
import torch

from vla_ros.models.heads.chunk import Chunk, chunk_actions
from vla_ros.training.losses import cloning_losses

NAN = float('nan')


def chunk(yaw_rad: float = 0.0) -> Chunk:
    """Return one row of a tool that points down, turned."""
    orientation = torch.tensor([[[math.cos(yaw_rad / 2), math.sin(yaw_rad / 2), 0.0, 0.0]]])
    return Chunk(torch.zeros(1, 1, 3), orientation, torch.zeros(1, 1), torch.zeros(1, 1))


def test_what_was_demonstrated_costs_nothing_but_doubt():
    losses = cloning_losses(chunk(), chunk_actions(chunk()), torch.ones(1, 1))
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(
        {'position': 0.0, 'orientation': 0.0, 'gripper': math.log(2), 'termination': math.log(2)}
    )


@pytest.mark.parametrize(('yaw_rad', 'cost'), [(math.pi / 2, 0.5), (math.pi, 1.0)])
def test_an_orientation_costs_the_squared_sine_of_half_the_angle(yaw_rad, cost):
    losses = cloning_losses(chunk(yaw_rad), chunk_actions(chunk()), torch.ones(1, 1))
    assert float(losses['orientation']) == pytest.approx(cost)


def test_both_quaternions_of_a_rotation_are_right():
    actions = chunk_actions(chunk())
    actions[..., 3:7] *= -1.0
    losses = cloning_losses(chunk(), actions, torch.ones(1, 1))
    assert float(losses['orientation']) == pytest.approx(0.0)


def test_what_nobody_knows_costs_nothing_and_leaves_no_nan():
    raw = torch.ones(1, 1, 4, requires_grad=True)
    some = chunk()._replace(orientation=raw)
    losses = cloning_losses(some, torch.full((1, 1, 8), NAN), torch.full((1, 1), NAN))
    sum(losses.values()).backward()
    assert [float(loss.detach()) for loss in losses.values()] == [0.0] * 4
    assert (raw.grad == 0.0).all()
