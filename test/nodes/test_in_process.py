import numpy as np
import pytest
import rclpy
from rclpy.parameter import Parameter
from std_msgs.msg import Float32
from tiny_policy import write_policy

from vla_ros.geometry import Pose
from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import in_process, wiring
from vla_ros.nodes.conversions import (
    command_to_message,
    header,
    image_to_message,
    pose_to_message,
)
from vla_ros.nodes.inference_node import InferenceNode

pytestmark = pytest.mark.ros

TOPIC = wiring.IMAGE


@pytest.fixture
def joined(graph):
    """A graph whose nodes hand over what is marked for it."""
    in_process.open_for(rclpy.get_default_context())
    return graph


def frame(stamp_ns=7):
    return image_to_message(np.zeros((8, 12, 3), np.uint8), header(stamp_ns, 'eye'))


def listen_from_outside(graph, topic):
    """Subscribe as another process would."""
    received = []
    graph.peer.create_subscription(topic.type, topic.name, received.append, topic.qos)
    return received


def test_a_subscriber_gets_the_very_message_that_was_published(joined):
    received = joined.listen(TOPIC)
    message = frame()
    TOPIC.publisher(joined.peer).publish(message)
    joined.until(lambda: received)
    assert received[0] is message


def test_only_the_newest_of_several_messages_waits(joined):
    received = joined.listen(TOPIC)
    publisher = TOPIC.publisher(joined.peer)
    for stamp_ns in (1, 2, 3):
        publisher.publish(frame(stamp_ns))
    joined.until(lambda: received)
    assert [message.header.stamp.nanosec for message in received] == [3]


def test_the_middleware_carries_nothing_between_the_nodes(joined):
    joined.listen(TOPIC)
    TOPIC.publisher(joined.peer)
    joined.until(lambda: joined.peer.count_publishers(TOPIC.name) == 1)
    assert joined.peer.count_subscribers(TOPIC.name) == 0


def test_who_listens_from_elsewhere_hears_it_too(joined):
    inside, outside = joined.listen(TOPIC), listen_from_outside(joined, TOPIC)
    publisher = TOPIC.publisher(joined.peer)
    joined.until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(frame())
    joined.until(lambda: inside and outside)
    assert outside == inside


def test_after_the_end_of_a_subscription_nothing_comes(joined):
    received, others = [], joined.listen(TOPIC)
    subscription = TOPIC.subscription(joined.peer, received.append)
    wiring.unsubscribe(joined.peer, subscription)
    TOPIC.publisher(joined.peer).publish(frame())
    joined.until(lambda: others)
    assert received == []


def test_what_a_subscriber_raises_ends_the_spinning(joined):
    TOPIC.subscription(joined.peer, lambda message: 1 / 0)
    TOPIC.publisher(joined.peer).publish(frame())
    with pytest.raises(ZeroDivisionError):
        joined.until(lambda: False)


def test_a_topic_that_is_not_marked_goes_by_middleware(joined):
    joined.listen(wiring.ROBOT_POSE)
    joined.until(lambda: joined.peer.count_subscribers(wiring.ROBOT_POSE.name) == 1)


def test_nodes_of_another_process_are_not_joined(graph):
    graph.listen(TOPIC)
    graph.until(lambda: graph.peer.count_subscribers(TOPIC.name) == 1)


def test_the_inference_node_works_by_hand_over_and_can_be_started_again(joined, tmp_path):
    path = write_policy(tmp_path / 'tiny.pt')
    node = InferenceNode(parameter_overrides=[Parameter('policy_path', value=str(path))])
    joined.add(node)
    chunks, frames = joined.listen(wiring.ACTION_CHUNK), wiring.IMAGE.publisher(joined.peer)
    command = EncodedCommand('up', 9, np.full((2, 5), 0.1, np.float32))
    joined.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))

    def feed():
        pose = Pose.of((0.1, 0.2, 0.3), (1, 0, 0, 0))
        joined.publish(wiring.ROBOT_POSE, pose_to_message(pose, 7, 'base_link'))
        joined.publish(wiring.GRIPPER_STATE, Float32(data=0.5))
        frames.publish(frame())
        return chunks

    joined.until(feed)
    node.trigger_deactivate()
    chunks.clear()
    node.trigger_activate()
    joined.until(feed)
    assert joined.peer.count_publishers(wiring.ACTION_CHUNK.name) == 1
