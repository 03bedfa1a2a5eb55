"""
The oracle's ears: a process of its own that writes down what is published, and nothing else.

usage: python -m faults.oracle_process FILE [ROBOT]   until SIGTERM; one JSON list a message

``["pose", t, stamp_ns, frame, position, quaternion]``, ``["gripper", t, value]`` and
``["status", t, state, reason, command]``, with t on the steady clock of this machine. With ROBOT
also ``["robot", ...]``, as of a pose: where the robot was measured.
"""

from __future__ import annotations

from contextlib import suppress
import json
from pathlib import Path
import sys
import time

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float32


class Ears(Node):
    def __init__(self, path: Path, with_robot: bool) -> None:
        super().__init__('oracle', enable_rosout=False, start_parameter_services=False)
        self._file = path.open('w', buffering=1)
        deep = QoSProfile(depth=200)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(
            PoseStamped, 'robot_action', lambda m: self._on_pose('pose', m), deep
        )
        if with_robot:
            self.create_subscription(
                PoseStamped, 'robot_pose', lambda m: self._on_pose('robot', m), deep
            )
        self.create_subscription(Float32, 'gripper_action', self._on_gripper, deep)
        self.create_subscription(DiagnosticStatus, 'vla/status', self._on_status, latched)

    def _write(self, *values: object) -> None:
        self._file.write(json.dumps(values) + '\n')

    def _on_pose(self, kind: str, message: PoseStamped) -> None:
        now_s = time.monotonic()
        p, q, stamp = message.pose.position, message.pose.orientation, message.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        place, turn = (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
        self._write(kind, now_s, stamp_ns, message.header.frame_id, place, turn)

    def _on_gripper(self, message: Float32) -> None:
        self._write('gripper', time.monotonic(), message.data)

    def _on_status(self, message: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in message.values}
        told = [values.get(key) for key in ('state', 'reason', 'command')]
        self._write('status', time.monotonic(), *told)


def main(path: str, *options: str) -> None:
    rclpy.init(args=[])
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Ears(Path(path), with_robot=bool(options)))


if __name__ == '__main__':
    main(*sys.argv[1:])
