import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.interfaces import STATE_CHANNELS
from vla_ros.pipeline.proprioception import Proprioception


def robot():
    robot = Proprioception(timeout_s=0.5)
    for i in range(5):
        robot.add_pose(i * 20, Pose.of((0.1 * i, 0.0, 0.0)), received_s=0.02 * i)
    robot.set_gripper(0.75, received_s=0.08)
    return robot


def test_the_pose_nearest_to_the_image_is_used():
    assert robot().at(47, ['position.x'])[0] == np.float32(0.2)


def test_at_500_hz_an_image_of_900_ms_ago_still_has_its_pose():
    robot = Proprioception(timeout_s=0.5)
    for i in range(1, 1000):
        robot.add_pose(i * 2_000_000, Pose.of((0.002 * i, 0.0, 0.0)), received_s=0.002 * i)
    assert robot.at(1_100_000_000, ['position.x'])[0] == np.float32(1.1)


def test_poses_older_than_a_second_are_forgotten():
    robot = Proprioception(timeout_s=0.5)
    robot.add_pose(0, Pose.of((0.1, 0.0, 0.0)), received_s=0.0)
    robot.add_pose(10**8, Pose.of((0.2, 0.0, 0.0)), received_s=1.1)
    assert robot.at(0, ['position.x'])[0] == np.float32(0.2)


@pytest.mark.parametrize(
    ('stamp_ns', 'told'),
    [
        (0, 'has no stamp'),
        (10**9, r'is stamped 1699\.\d\d s before the image'),
        (3_400_000_000_000, r'is stamped 1700\.\d\d s after the image'),
    ],
)
def test_poses_without_a_stamp_or_of_another_clock_are_told(stamp_ns: int, told: str):
    robot = Proprioception(timeout_s=0.5)
    for i in range(3):
        robot.add_pose(stamp_ns, Pose.of((0.1 * i, 0.0, 0.0)), received_s=0.02 * i)
    with pytest.raises(ValueError, match=f'robot_pose {told}: .*synchronise the clocks'):
        robot.at(1_700_000_000_000, ['position.x'])


def test_channels_come_in_the_order_asked_for():
    np.testing.assert_array_equal(
        robot().at(0, ['gripper', 'orientation.w', 'position.x']), [0.75, 1.0, 0.0]
    )


def test_every_state_channel_is_known():
    assert robot().at(0, STATE_CHANNELS).shape == (8,)


def test_nothing_is_fresh_before_the_first_message():
    empty = Proprioception(timeout_s=0.5)
    assert not empty.has_pose(0.0)
    assert not empty.has_gripper(0.0)


def test_measurements_are_fresh_until_the_timeout():
    assert robot().has_pose(0.58)
    assert robot().has_gripper(0.58)
    assert not robot().has_pose(0.59)
    assert not robot().has_gripper(0.59)
