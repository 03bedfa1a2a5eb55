"""The marker node over real topics."""

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    ActionChunk,
    CameraModel,
    EncodedCommand,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
)
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_to_message,
    camera_to_message,
    chunk_to_message,
    command_to_message,
    header,
    image_to_message,
    pose_to_message,
    to_ns,
)
from vla_ros.nodes.marker_node import MarkerNode

pytestmark = pytest.mark.ros

STAMP_NS = 5_000_000_007
DOWN = (1.0, 0.0, 0.0, 0.0)
#: One metre above (0.4, 0, 0), looking straight down.
CAMERA = CameraModel(96, 96, 96.0, 96.0, 47.5, 47.5, Pose.of((0.4, 0.0, 1.0), DOWN))
TARGET = Pose.of((0.4, 0.1, 0.2), DOWN)


def attention(row: int = 6, column: int = 18) -> Image:
    planes = np.zeros((2, 24, 24), np.float32)
    planes[1, row, column] = 1.0
    return attention_to_message(planes, header(STAMP_NS, 'camera_optical_frame'))


def chunk(**changes: np.ndarray) -> JointTrajectory:
    values = np.tile([0.4, 0.0, 0.2, *DOWN, 0.0], (4, 1))
    values[:, 0] += 0.1 * np.arange(4)
    values[2:, 7] = 1.0
    made = {
        'stamp_ns': STAMP_NS,
        'command_stamp_ns': 1,
        'frame_id': 'base_link',
        'channels': (*POSE_CHANNELS, GRIPPER_CHANNEL),
        'values': values,
        'dt_s': 0.1,
    }
    return chunk_to_message(ActionChunk(**{**made, **changes}))


def status(state: str, reason: str) -> DiagnosticStatus:
    return DiagnosticStatus(
        values=[KeyValue(key='state', value=state), KeyValue(key='reason', value=reason)]
    )


class Bench:
    def __init__(self, graph) -> None:
        self.graph = graph
        fast = [Parameter('rate_hz', value=50.0)]
        self.node = graph.add(MarkerNode(parameter_overrides=fast))
        self.arrays = graph.listen(wiring.MARKERS)
        self.pictures = graph.listen(wiring.ATTENTION_IMAGE)
        self.health = graph.listen(wiring.DIAGNOSTICS)

    def scene(self) -> None:
        """Publish everything that attention needs to find its place."""
        publish = self.graph.publish
        publish(wiring.CAMERA_POSE, pose_to_message(CAMERA.base_from_camera, 0, 'base_link'))
        publish(wiring.MODEL_CAMERA_INFO, camera_to_message(CAMERA, STAMP_NS, 'camera'))
        self.command()
        node = self.node
        self.graph.until(lambda: node._base_from_camera is not None and node._camera_info)

    def command(
        self, text: str = 'pick up the red block', tokens: int = 2, stamp_ns: int = 0
    ) -> None:
        command = EncodedCommand(text, stamp_ns, np.ones((tokens, 4), np.float32))
        self.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))
        self.graph.until(lambda: self.node._command and self.node._command.text == text)

    def marker(self, namespace: str) -> Marker:
        """Wait for the newest marker of a namespace."""

        def find() -> list[Marker]:
            return [m for a in self.arrays for m in a.markers if m.ns == namespace]

        self.graph.until(find)
        return find()[-1]


@pytest.fixture
def bench(graph) -> Bench:
    bench = Bench(graph)
    bench.scene()
    return bench


def place(marker: Marker) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_attention_lies_on_the_table_where_the_camera_looks_with_the_images_stamp(bench):
    bench.graph.publish(wiring.ATTENTION, attention(row=6, column=18))
    cells = bench.marker('attention')
    u, v = (18 + 0.5) * 4 - 0.5, (6 + 0.5) * 4 - 0.5
    assert place(cells) == pytest.approx(CAMERA.on_plane([[u, v]], 0.0))
    assert (to_ns(cells.header.stamp), cells.header.frame_id) == (STAMP_NS, 'base_link')
    assert len(cells.colors) == 1
    assert (cells.scale.x, cells.scale.y) == pytest.approx((1 / 24, 1 / 24))


def test_the_peak_is_drawn_at_the_cell_of_most_attention(bench):
    bench.graph.publish(wiring.ATTENTION, attention(row=6, column=18))
    peak, cells = bench.marker('attention_peak'), bench.marker('attention')
    at = peak.pose.position
    assert place(cells)[0] == pytest.approx([at.x, at.y, at.z])


def test_attention_is_bounded_and_finite_whatever_comes(bench):
    planes = np.random.default_rng(0).normal(size=(2, 200, 200)).astype(np.float32)
    planes[0, ::3] = np.nan
    planes[1, ::5] = np.inf
    bench.graph.publish(wiring.ATTENTION, attention_to_message(planes, header(1, 'camera')))
    cells = bench.marker('attention')
    assert 0 < len(cells.points) == len(cells.colors) <= 2000
    assert np.isfinite(place(cells)).all()


def test_the_chunk_is_a_path_in_its_own_frame_coloured_by_the_gripper(bench):
    bench.graph.publish(wiring.ACTION_CHUNK, chunk())
    path = bench.marker('action_chunk')
    assert place(path)[:, 0] == pytest.approx([0.4, 0.5, 0.6, 0.7])
    assert to_ns(path.header.stamp) == STAMP_NS
    assert path.colors[0] == path.colors[1] != path.colors[2] == path.colors[3]


def test_the_target_is_drawn_as_axes(bench):
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    ends = place(bench.marker('target_pose'))
    assert ends[::2] == pytest.approx(np.tile(TARGET.position, (3, 1)))
    assert ends[5] - ends[4] == pytest.approx((0.0, 0.0, -0.08))  # the tool looks down


def test_the_text_tells_command_state_and_spread(bench):
    bench.graph.publish(wiring.STATUS, status('holding', 'image_old'))
    bench.graph.publish(wiring.ATTENTION, attention())
    bench.graph.until(lambda: 'spread' in bench.marker('command').text)
    bench.graph.until(lambda: 'image_old' in bench.marker('command').text)
    assert bench.marker('command').text == (
        'pick up the red block\nholding: image_old\nattention spread 0.00'
    )


def test_a_command_cannot_write_control_characters(bench):
    bench.command('\x1b[31m\nred' + 'x' * 10_000)
    bench.graph.until(lambda: 'red' in bench.marker('command').text)
    bench.graph.until(lambda: '31m' in bench.marker('command').text)
    assert len(bench.marker('command').text) < 300
    assert '\x1b' not in bench.marker('command').text


def test_every_marker_has_its_own_name_and_vanishes_by_itself(bench):
    bench.graph.publish(wiring.ATTENTION, attention())
    bench.graph.publish(wiring.ACTION_CHUNK, chunk())
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    names = {'attention', 'attention_peak', 'action_chunk', 'target_pose', 'command'}
    markers = [bench.marker(name) for name in names]
    assert all(m.lifetime.sec == 1 and m.id == 0 and m.action == Marker.ADD for m in markers)
    for array in bench.arrays:
        assert len({m.ns for m in array.markers}) == len(array.markers)


def test_the_heat_map_is_drawn_over_the_frame_that_the_policy_saw(bench):
    seen, other = (np.full((96, 96, 3), v, np.uint8) for v in (60, 200))
    frames = {STAMP_NS: seen, STAMP_NS + 1: other}
    for stamp_ns, pixels in frames.items():
        message = image_to_message(pixels, header(stamp_ns, 'camera_optical_frame'))
        bench.graph.publish(wiring.IMAGE, message)
        bench.graph.until(lambda stamp_ns=stamp_ns: stamp_ns in bench.node._images)
    bench.graph.publish(wiring.ATTENTION, attention(row=6, column=18))
    bench.graph.until(lambda: bench.pictures)
    picture = bench.pictures[-1]
    pixels = np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 3)
    assert to_ns(picture.header.stamp) == STAMP_NS
    assert picture.header.frame_id == 'camera_optical_frame'
    assert (pixels[-1, 0] == 60).all()
    assert pixels[104, 296].max() > 150


def test_frames_do_not_pile_up(bench):
    for i in range(30):
        message = image_to_message(np.zeros((8, 8, 3), np.uint8), header(i, 'camera'))
        bench.node._on_image(message)
    assert len(bench.node._images) == 8


def test_without_a_task_there_is_no_attention(bench):
    bench.command('stop', tokens=0)
    bench.graph.publish(wiring.ATTENTION, attention())
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    bench.marker('target_pose')
    assert not any(m.ns == 'attention' for a in bench.arrays for m in a.markers)


def test_attention_of_the_command_before_is_not_drawn_with_the_new_words(bench):
    bench.command('point at the ball', stamp_ns=STAMP_NS + 1)
    bench.graph.publish(wiring.ATTENTION, attention())
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    bench.marker('target_pose')
    assert not any(m.ns == 'attention' for a in bench.arrays for m in a.markers)


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
    bench.graph.publish(wiring.ATTENTION, attention())
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    axes = bench.marker('target_pose')
    assert np.isfinite(place(axes)).all()


def test_a_camera_pose_in_another_frame_is_refused(bench):
    other = pose_to_message(Pose.of((9.0, 9.0, 9.0), DOWN), 0, 'world')
    bench.graph.publish(wiring.CAMERA_POSE, other)
    bench.graph.until(lambda: 'unusable_camera pose' in str(bench.health))
    bench.graph.publish(wiring.ATTENTION, attention())
    assert np.abs(place(bench.marker('attention'))).max() < 1.0


def test_the_camera_pose_can_be_a_parameter(graph):
    pose = [0.4, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    node = graph.add(MarkerNode(parameter_overrides=[Parameter('camera_pose', value=pose)]))
    assert node._base_from_camera.vector().tolist() == pose


@pytest.mark.parametrize('pose', [[0.4, 0.0], [0.4, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
def test_a_senseless_camera_pose_is_refused_with_the_fix(graph, pose):
    with pytest.raises(ConfigurationError, match='camera_pose is .* unit quaternion'):
        MarkerNode(parameter_overrides=[Parameter('camera_pose', value=pose)])
