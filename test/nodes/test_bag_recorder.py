"""A recording of real messages."""

from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from std_msgs.msg import Float32

pytest.importorskip('rosbags', reason='the extra record is not installed')

from vla_ros.bag import reader
from vla_ros.bag.reader import pictures, read
from vla_ros.bag.writer import BagWriter
from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.bag_recorder import BagRecorder, stream_of
from vla_ros.nodes.client import Client
from vla_ros.nodes.conversions import (
    attention_to_message,
    command_to_message,
    header,
    image_to_message,
)
from vla_ros.nodes.diagnostics import OK

pytestmark = pytest.mark.ros


def test_the_report_reads_the_topics_of_the_graph():
    read_by_report = {
        reader.STATUS: wiring.STATUS,
        reader.TARGET: wiring.ROBOT_ACTION,
        reader.MEASURED: wiring.ROBOT_POSE,
        reader.CHUNK: wiring.ACTION_CHUNK,
        reader.ATTENTION: wiring.ATTENTION,
        reader.COMMAND: wiring.COMMAND_EMBEDDING,
        reader.IMAGE: wiring.IMAGE,
        reader.RAW_IMAGE: wiring.IMAGE_RAW,
    }
    assert {name: topic.name for name, topic in read_by_report.items()} == {
        name: name for name in read_by_report
    }


def test_a_topic_is_recorded_under_its_full_name():
    assert stream_of(wiring.STATUS, '/arm').topic == '/arm/vla/status'
    assert stream_of(wiring.STATUS, '/').topic == '/vla/status'
    assert stream_of(wiring.CLOCK, '/arm').topic == '/clock'
    assert stream_of(wiring.STATUS, '/').type == 'diagnostic_msgs/msg/DiagnosticStatus'
    assert stream_of(wiring.STATUS, '/').is_latched


#: Somebody computes or encodes these for those who subscribe.
MADE_ON_DEMAND = {
    wiring.ATTENTION_IMAGE.name,
    wiring.SALIENCY.name,
    wiring.IMAGE_RAW.name,
    wiring.IMAGE_COMPRESSED.name,
}


@pytest.mark.parametrize(
    ('asked', 'expected'),
    [
        ({}, {'camera/image_raw'}),
        ({'overlay': True}, {'camera/image_raw', 'vla/attention_image'}),
        ({'saliency': True}, {'camera/image_raw', 'vla/saliency'}),
        ({'compressed': True}, {'camera/image_raw/compressed'}),
    ],
)
def test_what_is_made_for_a_recording_alone_is_recorded_only_if_asked_for(graph, asked, expected):
    user = Client()
    try:
        BagRecorder(user, MagicMock(), **asked)
        names = {topic.name for topic in wiring.TOPICS}
        recorded = {name for name in names if user._node.count_subscribers(name)}
    finally:
        user.close()
    assert names - recorded == MADE_ON_DEMAND - expected


def test_a_remapped_topic_is_recorded_by_its_own_name_and_what_is_silent_told(graph, tmp_path):
    spin = lambda: graph._executor.spin_once(timeout_sec=0.0)  # noqa: E731
    user = Client(on_spin=spin, remap='gripper_state:=/hand/closing')
    publisher = graph.peer.create_publisher(Float32, '/hand/closing', wiring.GRIPPER_STATE.qos)
    graph.peer.create_timer(0.1, lambda: publisher.publish(Float32(data=0.5)))
    try:
        with BagWriter(tmp_path / 'bag') as bag:
            recorder = BagRecorder(user, bag)
            assert '/gripper_state' in recorder.silent
            assert user.wait(lambda: '/gripper_state' not in recorder.silent, 20.0)
    finally:
        user.close()
    assert '/hand/closing' not in bag.counts
    assert {'/robot_action', '/vla/status', '/clock'} <= set(recorder.silent)


def test_messages_are_recorded_and_read_as_they_were(graph, tmp_path: Path):
    from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

    user = Client(on_spin=lambda: graph._executor.spin_once(timeout_sec=0.0))
    stamp_ns = 2_000_000_000
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    planes = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    command = EncodedCommand('pick up', 1_000_000_000, np.ones((2, 4), np.float32), ('a', 'b'))
    told = DiagnosticStatus(level=OK, values=[KeyValue(key='state', value='idle')])
    messages = [
        (wiring.STATUS, told),
        (wiring.COMMAND_EMBEDDING, command_to_message(command)),
        (wiring.IMAGE, image_to_message(picture, header(stamp_ns, 'camera'))),
        (wiring.ATTENTION, attention_to_message(planes, header(stamp_ns, 'camera'))),
        (wiring.GRIPPER_STATE, Float32(data=0.5)),
    ]
    outputs = [(topic.publisher(graph.peer), message) for topic, message in messages]

    def publish() -> None:
        for publisher, message in outputs:
            publisher.publish(message)

    graph.peer.create_timer(0.1, publish)
    try:
        with BagWriter(tmp_path / 'bag') as bag:
            BagRecorder(user, bag)
            assert user.wait(lambda: len(bag.counts) == len(messages), 20.0), bag.counts
    finally:
        user.close()
    recording = read(tmp_path / 'bag')
    assert recording.told[0].values == {'state': 'idle'}
    (seen,) = pictures(tmp_path / 'bag', recording, [stamp_ns])
    assert np.array_equal(seen.image, picture)
    assert np.array_equal(seen.attention, planes)
    assert seen.pieces == ('a', 'b')
