"""What comes malformed, or of a camera that is not as expected, at the marker node."""

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from marker_bench import Bench, CAMERA, chunk, DOWN, place, STAMP_NS, TARGET
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_to_message,
    camera_to_message,
    pose_to_message,
)
from vla_ros.nodes.marker_node import MarkerNode

pytestmark = pytest.mark.ros


@pytest.fixture
def bench(graph) -> Bench:
    bench = Bench(graph)
    bench.scene()
    return bench


@pytest.mark.parametrize(
    ('topic', 'message'),
    [
        (wiring.ATTENTION, Image(encoding='rgb8', height=2, width=2)),
        (wiring.ATTENTION, attention_to_message(np.ones((3, 5, 5), np.float32), Header())),
        (wiring.ATTENTION, Image(encoding='32FC1')),
        (wiring.ACTION_CHUNK, JointTrajectory()),
        (wiring.ACTION_CHUNK, chunk(values=np.full((4, 8), np.nan))),
        (wiring.ACTION_CHUNK, chunk(channels=tuple('abcdefgh'))),
        (wiring.COMMAND_EMBEDDING, Image(encoding='mono8', height=9, width=9)),
        (wiring.MODEL_CAMERA_INFO, CameraInfo()),
        (wiring.CAMERA_POSE, PoseStamped()),
        (wiring.ROBOT_ACTION, pose_to_message(Pose.of((np.nan, 0.0, 0.0)), 9, 'base_link')),
        (wiring.ROBOT_ACTION, PoseStamped()),
        (wiring.IMAGE, Image(encoding='yuv9', height=2**31, width=2**31)),
        (wiring.STATUS, DiagnosticStatus()),
    ],
    ids=lambda value: getattr(value, 'name', ''),
)
def test_bad_input_neither_ends_nor_fools_it(bench, topic, message):
    bench.graph.publish(topic, message)
    bench.look()
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    axes = bench.marker('target_pose')
    assert np.isfinite(place(axes)).all()


def test_a_camera_pose_in_another_frame_is_refused_and_the_expected_one_named(bench, capfd):
    other = pose_to_message(Pose.of((9.0, 9.0, 9.0), DOWN), 0, 'world')
    bench.graph.publish(wiring.CAMERA_POSE, other)
    bench.graph.until(lambda: 'unusable_camera pose' in str(bench.health))
    bench.look()
    assert np.abs(place(bench.marker('attention'))).max() < 1.0
    told = capfd.readouterr().err
    assert "it is in 'world'; expected: 'base_link', the parameter base_frame" in told


@pytest.mark.parametrize(('d', 'told'), [([0.0, -0.2, 0.0, 0.0, 0.0], 1), ([0.0] * 5, 0), ([], 0)])
def test_a_lens_that_distorts_is_told_once(bench, capfd, d, told):
    info = camera_to_message(CAMERA, STAMP_NS + 1, 'camera')
    info.d = d
    for stamp_ns in (1, 2, 3):
        info.header.stamp.nanosec = stamp_ns
        bench.graph.publish(wiring.MODEL_CAMERA_INFO, info)
        bench.graph.until(lambda ns=stamp_ns: bench.node._camera_info.header.stamp.nanosec == ns)
    assert capfd.readouterr().err.count('a lens that distorts') == told


def test_bad_input_is_a_warning_in_one_report(bench):
    bench.graph.publish(wiring.ACTION_CHUNK, JointTrajectory())

    def levels():
        reports = [m.status[0] for m in bench.health if 'unusable_chunk' in str(m)]
        return [status.level for status in reports]

    bench.graph.until(lambda: len(levels()) == 2)
    assert levels() == [DiagnosticStatus.WARN, DiagnosticStatus.OK]


def test_the_camera_pose_can_be_a_parameter(graph):
    pose = [0.4, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    node = graph.add(MarkerNode(parameter_overrides=[Parameter('camera_pose', value=pose)]))
    assert node._base_from_camera.vector().tolist() == pose


@pytest.mark.parametrize('pose', [[0.4, 0.0], [0.4, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
def test_a_senseless_camera_pose_is_refused_with_the_fix(graph, pose):
    with pytest.raises(ConfigurationError, match='camera_pose is .* unit quaternion'):
        MarkerNode(parameter_overrides=[Parameter('camera_pose', value=pose)])
