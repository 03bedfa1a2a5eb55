import time

import numpy as np
import pytest
from rclpy.node import Node

from vla_ros.interfaces import ActionChunk, EncodedCommand, POSE_CHANNELS
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.nodes.conversions import chunk_to_message, command_to_message
from vla_ros.nodes.stopwatch import Stopwatch

pytestmark = pytest.mark.ros


class Pipeline(Node):
    """Answers a command at once, with a chunk of an image that is ``image_age_s`` old."""

    def __init__(self, image_age_s, answers=True):
        super().__init__('pipeline')
        self.image_age_s, self.answers = image_age_s, answers
        self.features = wiring.COMMAND_EMBEDDING.publisher(self)
        self.chunks = wiring.ACTION_CHUNK.publisher(self)
        wiring.COMMAND.subscription(self, self.on_text)

    def on_text(self, message):
        now_ns = time.time_ns()
        command = EncodedCommand(message.data, now_ns, np.zeros((1, 5), np.float32))
        self.features.publish(command_to_message(command))
        if self.answers:
            self.chunks.publish(chunk_to_message(self.chunk(now_ns)))

    def chunk(self, now_ns):
        return ActionChunk(
            stamp_ns=now_ns - int(self.image_age_s * 1e9),
            command_stamp_ns=now_ns,
            frame_id='base_link',
            channels=POSE_CHANNELS,
            values=np.zeros((2, len(POSE_CHANNELS))),
            dt_s=0.1,
        )


@pytest.fixture
def user(graph):
    user = Client(on_spin=lambda: graph._executor.spin_once(timeout_sec=0.0))
    yield user
    user.close()


def stopwatch_before(graph, user, pipeline):
    graph.add(pipeline)
    stopwatch = Stopwatch(user)
    heard = (pipeline.features, pipeline.chunks)
    user.wait(lambda: all(p.get_subscription_count() for p in heard), 10.0)
    user.wait(lambda: user._commands.get_subscription_count(), 10.0)
    return stopwatch


def test_a_command_costs_its_features_and_the_age_of_the_image_behind_its_chunk(graph, user):
    stopwatch = stopwatch_before(graph, user, Pipeline(image_age_s=5.0))
    assert stopwatch.cost_ms('up', 10.0) > 5000.0
    assert stopwatch.cost_ms('down', 10.0) > 5000.0


def test_without_a_chunk_there_is_no_figure(graph, user):
    stopwatch = stopwatch_before(graph, user, Pipeline(image_age_s=0.0, answers=False))
    with pytest.raises(TimeoutError, match="no chunk for 'up'"):
        stopwatch.cost_ms('up', 0.2)
