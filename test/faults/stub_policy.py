"""
A policy and camera in a process of their own, to be killed, stopped, hung and crashed.

It plays chunks for whatever command there is. SIGUSR1 hangs it for ever, SIGUSR2 makes it eat
memory until the system or its own limit ends it.
"""

from __future__ import annotations

from contextlib import suppress
import resource
import signal

from faults.stage import CHANNELS, DOWN, REST
from geometry_msgs.msg import PoseStamped
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image

from vla_ros.interfaces import ActionChunk
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import chunk_to_message, command_from_message

MEMORY_BYTES = 4 * 2**30


class Stub(Node):
    def __init__(self) -> None:
        super().__init__('policy', enable_rosout=False)
        self._command_ns, self._side, self._y = 0, 1.0, 0.0
        self._chunks = wiring.ACTION_CHUNK.publisher(self)
        wiring.COMMAND_EMBEDDING.subscription(self, self._on_command)
        wiring.ROBOT_POSE.subscription(self, self._on_pose)
        self.create_timer(0.05, self._infer)

    def _on_command(self, message: Image) -> None:
        self._command_ns = command_from_message(message).stamp_ns

    def _on_pose(self, message: PoseStamped) -> None:
        self._y = message.pose.position.y

    def _infer(self) -> None:
        if not self._command_ns:
            return
        if self._side * self._y > 0.08:
            self._side = -self._side
        rows = np.tile([0.4, 0.1 * self._side, 0.2, *DOWN, *REST], (10, 1))
        now_ns = self.get_clock().now().nanoseconds
        chunk = ActionChunk(now_ns, self._command_ns, 'base_link', CHANNELS, rows, 0.1)
        self._chunks.publish(chunk_to_message(chunk))


def hang(*_: object) -> None:
    while True:
        pass


def eat(*_: object) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(2**26))


def main() -> None:
    rclpy.init(args=[])
    signal.signal(signal.SIGUSR1, hang)
    signal.signal(signal.SIGUSR2, eat)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Stub())


if __name__ == '__main__':
    main()
