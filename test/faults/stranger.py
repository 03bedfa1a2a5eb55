"""
A second publisher: says on a topic, at 50 Hz, what a robot could obey.

usage: python -m faults.stranger TOPIC      until SIGTERM

It prints the steady time at which first somebody could have heard it.
"""

from __future__ import annotations

from contextlib import suppress
import sys
import time

from faults.stage import CHANNELS, DOWN, REST
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Float32

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    chunk_to_message,
    command_from_message,
    command_to_message,
    pose_to_message,
)

ELSEWHERE = (0.3, 0.2, 0.1)


class Stranger(Node):
    def __init__(self, topic: str) -> None:
        super().__init__('stranger', enable_rosout=False)
        self._make = {
            wiring.ACTION_CHUNK.name: self._chunk,
            wiring.ROBOT_POSE.name: self._pose,
            wiring.COMMAND_EMBEDDING.name: self._command,
            wiring.GRIPPER_ACTION.name: lambda now_ns: Float32(data=1.0),
        }[topic]
        self._command_ns = 0
        self._is_heard = False
        if topic == wiring.ACTION_CHUNK.name:  # it has to be for the right command
            wiring.COMMAND_EMBEDDING.subscription(self, self._on_command)
        (wanted,) = (t for t in wiring.TOPICS if t.name == topic)
        self._publisher = wanted.publisher(self)
        self.create_timer(0.02, self._say)

    def _on_command(self, message) -> None:
        self._command_ns = command_from_message(message).stamp_ns

    def _chunk(self, now_ns: int):
        rows = np.tile([*ELSEWHERE, *DOWN, *REST], (10, 1))
        chunk = ActionChunk(now_ns, self._command_ns, 'base_link', CHANNELS, rows, 0.1)
        return chunk_to_message(chunk)

    def _pose(self, now_ns: int):
        return pose_to_message(Pose.of(ELSEWHERE, DOWN), now_ns, 'base_link')

    def _command(self, now_ns: int):
        tokens = np.ones((3, 5), dtype=np.float32)
        return command_to_message(EncodedCommand('throw it', now_ns, tokens))

    def _say(self) -> None:
        if not self._is_heard and self._publisher.get_subscription_count():
            self._is_heard = True
            sys.stdout.write(f'heard {time.monotonic()}\n')
            sys.stdout.flush()
        self._publisher.publish(self._make(self.get_clock().now().nanoseconds))


def main(topic: str) -> None:
    rclpy.init(args=[])
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Stranger(topic))


if __name__ == '__main__':
    main(sys.argv[1])
