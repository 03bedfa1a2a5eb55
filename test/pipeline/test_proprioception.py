import numpy as np

from vla_ros.geometry import Pose
from vla_ros.interfaces import STATE_CHANNELS
from vla_ros.pipeline.proprioception import Proprioception


def robot():
    robot = Proprioception(timeout_s=0.5)
    for i in range(5):
        robot.add_pose(i * 20, Pose.of((0.1 * i, 0.0, 0.0)), received_s=float(i))
    robot.set_gripper(0.75, received_s=4.0)
    return robot


def test_the_pose_nearest_to_the_image_is_used():
    assert robot().at(47, ['position.x'])[0] == np.float32(0.2)


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
    assert robot().has_pose(4.5)
    assert robot().has_gripper(4.5)
    assert not robot().has_pose(4.6)
    assert not robot().has_gripper(4.6)
