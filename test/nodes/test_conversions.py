from array import array

from builtin_interfaces.msg import Time
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, CameraModel, EncodedCommand, POSE_CHANNELS
from vla_ros.nodes.conversions import (
    attention_from_message,
    attention_to_message,
    camera_from_message,
    camera_to_message,
    chunk_from_message,
    chunk_to_message,
    command_from_message,
    command_to_message,
    header,
    image_to_message,
    pose_from_message,
    pose_to_message,
    resized_camera_message,
    to_ns,
    to_stamp,
)
from vla_ros.pipeline.image import decode_rgb, RawImage

pytestmark = pytest.mark.ros

HEADER = header(12_000_000_034, 'camera')
ORIGIN = Pose.of((0.0, 0.0, 0.0))


def chunk(rows=3):
    values = np.arange(rows * 8, dtype=np.float64).reshape(rows, 8) / 7.0
    return ActionChunk(
        stamp_ns=1_700_000_000_123_456_789,
        command_stamp_ns=1_700_000_000_987_654_321,
        frame_id='base_link',
        channels=(*POSE_CHANNELS, 'gripper'),
        values=values,
        dt_s=0.1,
    )


@pytest.mark.parametrize('ns', [0, 1, 1_000_000_000, 1_700_000_000_123_456_789])
def test_stamps_are_exact(ns):
    assert to_ns(to_stamp(ns)) == ns


def test_a_stamp_before_the_epoch_is_exact():
    assert to_stamp(-1) == Time(sec=-1, nanosec=999_999_999)


def test_a_pose_comes_back_unchanged():
    pose = Pose.of((0.1, -0.2, 0.3), (0.5, -0.5, 0.5, 0.5))
    message = pose_to_message(pose, 5, 'base_link')
    assert message.header == header(5, 'base_link')
    np.testing.assert_array_equal(pose_from_message(message).vector(), pose.vector())


def test_a_pose_that_is_not_finite_is_passed_on_for_the_gate_to_refuse():
    message = pose_to_message(Pose.of((np.nan, np.inf, 0.0)), 5, 'base_link')
    np.testing.assert_array_equal(pose_from_message(message).position, [np.nan, np.inf, 0.0])


def test_camera_intrinsics_come_back_unchanged():
    camera = CameraModel(640, 480, 500.0, 510.0, 320.5, 240.25, ORIGIN)
    back = camera_from_message(camera_to_message(camera, 5, 'camera'), ORIGIN)
    assert (back.width, back.height) == (640, 480)
    assert (back.fx, back.fy, back.cx, back.cy) == (500.0, 510.0, 320.5, 240.25)


@pytest.mark.parametrize('fx', [0.0, -1.0, float('nan'), float('inf')])
def test_an_uncalibrated_camera_is_refused(fx):
    info = camera_to_message(CameraModel(64, 48, 50.0, 50.0, 32.0, 24.0, ORIGIN), 5, 'camera')
    info.k[0] = fx
    with pytest.raises(ValueError, match='not calibrated'):
        camera_from_message(info, ORIGIN)


def test_resizing_scales_the_intrinsics_and_keeps_distortion_and_header():
    info = camera_to_message(CameraModel(640, 480, 500.0, 500.0, 319.5, 239.5, ORIGIN), 5, 'eye')
    info.d = [0.1, 0.2, 0.0, 0.0, 0.0]
    small = resized_camera_message(info, 48, 48)
    expected = CameraModel(640, 480, 500.0, 500.0, 319.5, 239.5, ORIGIN).resized(48, 48)
    assert (small.width, small.height) == (48, 48)
    np.testing.assert_allclose(small.k, [expected.fx, 0, 23.5, 0, expected.fy, 23.5, 0, 0, 1])
    assert list(small.d) == list(info.d)
    assert small.header == info.header


def test_a_default_camera_info_is_refused():
    with pytest.raises(ValueError, match='not calibrated'):
        resized_camera_message(CameraInfo(), 48, 48)


def test_an_image_comes_back_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    message = image_to_message(image, HEADER)
    assert message.header == HEADER
    np.testing.assert_array_equal(decode_rgb(RawImage.of(message), 1000), image)


def test_a_slice_of_an_image_is_written_without_its_neighbours():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    message = image_to_message(image[1:3, 2:5, ::-1], HEADER)
    assert bytes(message.data) == image[1:3, 2:5, ::-1].tobytes()


def test_reading_an_image_copies_nothing():
    message = image_to_message(np.zeros((2, 2, 3), np.uint8), HEADER)
    raw = RawImage.of(message)
    message.data[0] = 9
    assert raw.data[0] == 9


def test_a_command_comes_back_unchanged():
    tokens = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    back = command_from_message(command_to_message(EncodedCommand('pick é', 77, tokens)))
    assert (back.text, back.stamp_ns) == ('pick é', 77)
    np.testing.assert_array_equal(back.tokens, tokens)


def test_the_pieces_of_a_command_travel_with_it():
    command = EncodedCommand('grab', 7, np.ones((3, 2), np.float32), ('[CLS]', 'grab', '[SEP]'))
    back = command_from_message(command_to_message(command))
    assert (back.text, back.pieces) == ('grab', ('[CLS]', 'grab', '[SEP]'))


def test_pieces_that_are_not_those_of_the_tokens_are_left_out():
    command = EncodedCommand('grab', 7, np.ones((3, 2), np.float32), ('grab', 'it'))
    assert command_from_message(command_to_message(command)).pieces == ()


@pytest.mark.parametrize('width', [0, 6])
def test_a_command_without_tokens_comes_back_empty(width):
    tokens = np.zeros((0, width), np.float32)
    assert command_from_message(command_to_message(EncodedCommand('', 77, tokens))).is_empty


def test_big_endian_floats_are_swapped():
    message = command_to_message(EncodedCommand('', 1, np.array([[1.5, -2.0]], np.float32)))
    message.is_bigendian = 1
    message.data = array('B', np.array([1.5, -2.0], '>f4').tobytes())
    np.testing.assert_array_equal(command_from_message(message).tokens, [[1.5, -2.0]])


@pytest.mark.parametrize(
    'change',
    [
        {'encoding': '64FC1'},
        {'step': 7},
        {'height': 3},
        {'height': 2**32 - 1},
        {'width': 2**32 - 1},
        {'data': array('B', bytes(7))},
    ],
)
def test_a_malformed_command_is_refused(change):
    message = command_to_message(EncodedCommand('', 1, np.zeros((2, 2), np.float32)))
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match=r'32FC1|floats'):
        command_from_message(message)


def test_attention_comes_back_unchanged():
    attention = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    message = attention_to_message(attention, HEADER)
    assert (message.height, message.width) == (12, 5)
    np.testing.assert_array_equal(attention_from_message(message, planes=3), attention)


@pytest.mark.parametrize('planes', [0, 5])
def test_attention_of_another_number_of_planes_is_refused(planes):
    message = attention_to_message(np.zeros((3, 4, 5), np.float32), HEADER)
    with pytest.raises(ValueError, match='equal planes'):
        attention_from_message(message, planes)


def test_a_chunk_comes_back_unchanged():
    sent = chunk()
    back = chunk_from_message(chunk_to_message(sent))
    np.testing.assert_array_equal(back.values, sent.values)
    for name in ('stamp_ns', 'command_stamp_ns', 'frame_id', 'channels', 'dt_s'):
        assert getattr(back, name) == getattr(sent, name)


def test_a_chunk_with_values_that_are_not_finite_is_passed_on_for_the_gate_to_refuse():
    message = chunk_to_message(chunk())
    message.points[1].positions[0] = float('nan')
    assert np.isnan(chunk_from_message(message).values[1, 0])


def test_channels_may_come_in_any_order():
    message = chunk_to_message(chunk())
    message.joint_names = message.joint_names[::-1]
    for point in message.points:
        point.positions = point.positions[::-1]
    back = chunk_from_message(message)
    np.testing.assert_array_equal(back.column('gripper'), chunk().column('gripper'))
    assert back.command_stamp_ns == chunk().command_stamp_ns


def remove_points(message):
    message.points = message.points[:1]


def repeat_points(message):
    message.points = message.points[:1] * 1001


def drop_command(message):
    message.joint_names = ['x', *message.joint_names[1:-1], 'y']


def repeat_name(message):
    message.joint_names = ['gripper', *message.joint_names[1:]]


def shorten_row(message):
    message.points[1].positions = message.points[1].positions[:-1]


def bend_time(message):
    message.points[1].time_from_start.nanosec += 2000


def stop_time(message):
    for point in message.points:
        point.time_from_start.nanosec = 0


def change_command(message):
    message.points[1].positions[-1] += 1


def unset_command(message):
    for point in message.points:
        point.positions[-2] = float('nan')


def overflow_command(message):
    for point in message.points:
        point.positions[-1] = 1e9


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (remove_points, 'this one 1'),
        (repeat_points, 'this one 1001'),
        (drop_command, 'missing'),
        (repeat_name, 'repeat'),
        (shorten_row, 'one value for each'),
        (bend_time, 'evenly spaced'),
        (stop_time, 'evenly spaced'),
        (change_command, 'command stamp'),
        (unset_command, 'command stamp'),
        (overflow_command, 'command stamp'),
    ],
)
def test_a_malformed_chunk_is_refused_with_its_reason(damage, reason):
    message = chunk_to_message(chunk())
    damage(message)
    with pytest.raises(ValueError, match=reason):
        chunk_from_message(message)
