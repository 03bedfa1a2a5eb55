import cv2
from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage

from vla_ros.geometry import Pose
from vla_ros.interfaces import CameraModel
from vla_ros.nodes import wiring
from vla_ros.nodes.camera_node import CameraNode
from vla_ros.nodes.conversions import camera_to_message, header, image_to_message

pytestmark = pytest.mark.ros

HEADER = header(12_000_000_034, 'eye')
GREEN = np.full((48, 64, 3), (10, 200, 30), np.uint8)
CAMERA = CameraModel(64, 48, 50.0, 50.0, 31.5, 23.5, Pose.of((0.0, 0.0, 0.0)))


def camera_node(graph, **parameters):
    parameters = {'image_width': 16, 'image_height': 16, **parameters}
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return graph.add(CameraNode(parameter_overrides=overrides))


def values(message):
    return {pair.key: pair.value for pair in message.status[0].values}


def test_a_frame_comes_out_in_the_models_size_with_its_own_header(graph):
    camera_node(graph)
    images = graph.listen(wiring.IMAGE)
    graph.publish(wiring.IMAGE_RAW, image_to_message(GREEN, HEADER))
    graph.until(lambda: images)
    assert (images[0].width, images[0].height, images[0].encoding) == (16, 16, 'rgb8')
    assert images[0].header == HEADER
    assert bytes(images[0].data) == bytes((10, 200, 30)) * 256


def test_the_intrinsics_come_out_scaled_with_the_header_of_the_frame(graph):
    camera_node(graph)
    infos = graph.listen(wiring.MODEL_CAMERA_INFO)
    info = camera_to_message(CAMERA, 1, 'eye')

    def publish_until_answered():
        graph.publish(wiring.CAMERA_INFO, info)
        graph.publish(wiring.IMAGE_RAW, image_to_message(GREEN, HEADER))
        return infos

    graph.until(publish_until_answered)
    expected = CAMERA.resized(16, 16)
    np.testing.assert_allclose(infos[0].k[[0, 2]], [expected.fx, expected.cx])
    assert infos[0].header == HEADER


def test_intrinsics_of_another_size_are_not_passed_on(graph):
    node = camera_node(graph)
    infos, images = graph.listen(wiring.MODEL_CAMERA_INFO), graph.listen(wiring.IMAGE)
    graph.publish(wiring.CAMERA_INFO, camera_to_message(CAMERA.resized(32, 24), 1, 'eye'))
    graph.until(lambda: node._info)
    graph.publish(wiring.IMAGE_RAW, image_to_message(GREEN, HEADER))
    graph.until(lambda: images)
    assert not infos


def test_compressed_frames_come_out_raw(graph):
    camera_node(graph, image_transport='compressed')
    images = graph.listen(wiring.IMAGE)
    png = cv2.imencode('.png', GREEN[..., ::-1])[1].tobytes()
    message = CompressedImage(header=HEADER, format='rgb8; png compressed bgr8', data=png)
    graph.publish(wiring.IMAGE_COMPRESSED, message)
    graph.until(lambda: images)
    assert bytes(images[0].data) == bytes((10, 200, 30)) * 256
    assert images[0].header == HEADER


def test_a_malformed_frame_is_counted_by_its_reason_and_the_next_one_passes(graph):
    camera_node(graph)
    images, health = graph.listen(wiring.IMAGE), graph.listen(wiring.DIAGNOSTICS)
    bad = image_to_message(GREEN, HEADER)
    bad.step += 1
    graph.publish(wiring.IMAGE_RAW, bad)
    graph.until(lambda: health and values(health[-1]).get('rejected_data') == '1')
    assert not images
    graph.publish(wiring.IMAGE_RAW, image_to_message(GREEN, HEADER))
    graph.until(lambda: images)


def test_a_bad_frame_is_a_warning_in_one_report(graph):
    camera_node(graph)
    health = graph.listen(wiring.DIAGNOSTICS)
    bad = image_to_message(GREEN, HEADER)
    bad.step += 1
    graph.publish(wiring.IMAGE_RAW, bad)

    def levels():
        reports = [m for m in health if values(m).get('rejected_data') == '1']
        return [m.status[0].level for m in reports]

    graph.until(lambda: len(levels()) == 2)
    assert levels() == [DiagnosticStatus.WARN, DiagnosticStatus.OK]


def test_beside_a_second_camera_no_frame_is_taken_until_it_has_gone(graph):
    node = camera_node(graph)
    assert not node._subscription.event_handlers  # it ends while the node spins, see ``wiring``
    images, health = graph.listen(wiring.IMAGE), graph.listen(wiring.DIAGNOSTICS)
    graph.publisher(wiring.IMAGE_RAW)
    stranger = graph.add(Node('stranger'))
    wiring.IMAGE_RAW.publisher(stranger)
    graph.until(lambda: health and '/camera/image_raw has 2 publishers' in str(health[-1]))
    assert not images
    graph.remove(stranger)

    def publish_until_seen():
        graph.publish(wiring.IMAGE_RAW, image_to_message(GREEN, HEADER))
        return images

    graph.until(publish_until_seen)


def test_a_missing_camera_is_reported_with_the_topic_it_should_publish(graph):
    camera_node(graph)
    health = graph.listen(wiring.DIAGNOSTICS)
    graph.until(lambda: health and health[-1].status[0].message != 'ok')
    assert 'no frame on /camera/image_raw' in health[-1].status[0].message
    assert 'nobody publishes it' in health[-1].status[0].message


@pytest.mark.parametrize(('segment_bytes', 'warnings'), [(9000, 1), (9300, 0)])
def test_frames_that_do_not_fit_the_memory_of_a_sender_are_told_once(
    graph, monkeypatch, segment_bytes, warnings
):
    node = camera_node(graph)
    monkeypatch.setattr(
        'vla_ros.nodes.camera_node.peer_segments_bytes', lambda: {'theirs': segment_bytes}
    )
    logged = []
    monkeypatch.setattr(node.get_logger(), 'warning', lambda text, **_: logged.append(text))
    health = graph.listen(wiring.DIAGNOSTICS)
    graph.publish(wiring.IMAGE_RAW, image_to_message(GREEN, HEADER))
    graph.until(lambda: sum(values(m)['frames'] == '1' for m in health) >= 2)
    assert ['fastdds.xml' in text for text in logged] == [True] * warnings
