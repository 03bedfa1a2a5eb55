import math

import pytest
import torch

from vla_ros.models.layers.straight_move import (
    gripper_down,
    nearest_yaw,
    StraightMove,
    tool_yaw,
)


def state(yaw_rad=0.0):
    pose = torch.cat([torch.tensor([0.4, 0.1, 0.2]), gripper_down(torch.tensor(yaw_rad))])
    return torch.cat([pose, torch.tensor([0.3])])[None]


def move(position, yaw_rad=0.0, gripper=0.0, start=None):
    layer = StraightMove(horizon=10, dt_s=0.1, speed_m_s=0.2, angular_speed_rad_s=0.5)
    start = state() if start is None else start
    return layer(start, torch.tensor([position]), torch.tensor([yaw_rad]), torch.tensor([gripper]))


def test_the_first_row_is_the_measured_pose():
    torch.testing.assert_close(move([0.5, 0.0, 0.1])[:, 0, :7], state()[:, :7])


def test_a_far_waypoint_is_approached_at_the_speed():
    steps = move([0.9, 0.1, 0.2])[0, :, :3].diff(dim=0).norm(dim=-1)
    torch.testing.assert_close(steps, torch.full((9,), 0.02))


def test_a_near_waypoint_is_reached_and_kept():
    rows = move([0.41, 0.1, 0.2])[0, 1:, :3]
    torch.testing.assert_close(rows, torch.tensor([0.41, 0.1, 0.2]).expand(9, -1))


def test_a_waypoint_where_the_robot_is_gives_no_nan():
    assert move([0.4, 0.1, 0.2]).isfinite().all()


def test_the_yaw_turns_at_the_angular_speed():
    yaw = tool_yaw(move([0.4, 0.1, 0.2], yaw_rad=1.0)[0, :, 3:7])
    torch.testing.assert_close(yaw, torch.arange(10) * 0.05)


def test_the_yaw_turns_the_short_way_round():
    rows = move([0.4, 0.1, 0.2], yaw_rad=-3.1, start=state(3.1))[0, :, 3:7]
    assert tool_yaw(rows)[1] == pytest.approx(3.15 - 2 * math.pi, abs=1e-5)


def test_the_gripper_is_wanted_at_once():
    assert (move([0.4, 0.1, 0.2], gripper=1.0)[0, :, 7] == 1.0).all()


def test_yaw_and_quaternion_are_each_others_inverse():
    yaw = torch.linspace(-3.0, 3.0, 7)
    torch.testing.assert_close(tool_yaw(gripper_down(yaw)), yaw)


@pytest.mark.parametrize(
    ('wanted_deg', 'now_deg', 'got_deg'), [(40, 0, 40), (-40, 40, 50), (0, 50, 0), (-20, 55, -20)]
)
def test_of_equal_quarter_turns_the_nearest_is_chosen(wanted_deg, now_deg, got_deg):
    yaw = torch.tensor([wanted_deg]).deg2rad()
    vector = torch.stack([torch.cos(4 * yaw), torch.sin(4 * yaw)], dim=-1)
    got = nearest_yaw(vector, torch.tensor([now_deg]).deg2rad(), math.radians(60.0))
    assert float(got.rad2deg()) == pytest.approx(got_deg, abs=1e-3)
