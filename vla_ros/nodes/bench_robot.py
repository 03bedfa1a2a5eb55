"""
The camera, robot and user of the pipeline benchmark, and its stopwatch.

Publishes: camera/image_raw, robot_pose, gripper_state, natural_language_command
Subscribes: vla/action_chunk, robot_action, vla/status

Writes three lines: ``begin`` and ``end`` around the frames that count, then a record as JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
import json
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from std_msgs.msg import Float32, String
from trajectory_msgs.msg import JointTrajectory

from vla_ros.bench.table import COMMAND, picture_of_table
from vla_ros.interfaces import BASE_FRAME
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    header,
    image_to_message,
    pose_from_message,
    pose_to_message,
    to_ns,
)
from vla_ros.nodes.runner import run_threads
from vla_ros.pipeline.reason import ENDINGS
from vla_ros.pipeline.session import State

ROBOT_RATE_HZ = 50.0
#: A command that was not heard, for its listener was not up yet, or whose task has ended, is said
#: again, not sooner than so long after the last time.
ASK_AGAIN_S = 2.0
#: Frames after the first chunk that do not count.
WARM_UP_FRAMES = 30
#: What has not come so long after the last frame never comes.
GRACE_S = 0.5


class BenchRobot(Node):
    """Sends a picture of a table ``frames`` times, at ``rate_hz``, once it is answered."""

    def __init__(self, frames: int, rate_hz: float, size: tuple[int, int]) -> None:
        super().__init__('bench_robot', enable_rosout=False)
        self._frames = frames
        self._picture, self._pose = picture_of_table(size)
        self._asked_s = self._ended_s = 0.0
        self._answered = 0
        self._has_ended = False
        self._sent: list[int] = []
        self._begun = -1
        self._chunks: dict[int, int] = {}
        self._actions_s: list[float] = []
        self._pose_ms: float | None = None
        self._image = wiring.IMAGE_RAW.publisher(self)
        self._robot_pose = wiring.ROBOT_POSE.publisher(self)
        self._gripper = wiring.GRIPPER_STATE.publisher(self)
        self._command = wiring.COMMAND.publisher(self)
        wiring.ACTION_CHUNK.subscription(self, self._on_chunk)
        wiring.ROBOT_ACTION.subscription(self, self._on_action)
        wiring.STATUS.subscription(self, self._on_status)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / rate_hz, self._shoot, clock=steady)
        self.create_timer(1.0 / ROBOT_RATE_HZ, self._feed_back, clock=steady)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _feed_back(self) -> None:
        self._robot_pose.publish(pose_to_message(self._pose, self._now_ns(), BASE_FRAME))
        self._gripper.publish(Float32(data=0.0))

    def _shoot(self) -> None:
        if self._begun >= 0 and len(self._sent) == self._begun + self._frames:
            self._end()
            return
        is_idle = self._has_ended or not self._chunks
        if is_idle and time.monotonic() - self._asked_s > ASK_AGAIN_S:
            self._asked_s = time.monotonic()
            self._command.publish(String(data=COMMAND))
        self._answered += bool(self._chunks)
        if self._answered == WARM_UP_FRAMES:
            # Said anew, so that what the pose node tells is of the frames that count.
            self._command.publish(String(data=COMMAND))
            self._begun = len(self._sent)
            self._actions_s.clear()
            say('begin')
        message = image_to_message(self._picture, header(0, wiring.CAMERA_FRAME))
        now = self.get_clock().now()
        message.header.stamp = now.to_msg()
        self._image.publish(message)
        self._sent.append(now.nanoseconds)

    def _on_chunk(self, message: JointTrajectory) -> None:
        self._chunks.setdefault(to_ns(message.header.stamp), self._now_ns())

    def _on_action(self, message: PoseStamped) -> None:
        self._actions_s.append(time.monotonic())
        self._pose = pose_from_message(message)

    def _on_status(self, message: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in message.values}
        self._has_ended = values.get('reason') in ENDINGS  # its time is spent
        if self._begun >= 0 and values.get('state') == State.RUNNING.value:
            self._pose_ms = float(values['latency_p50_ms'])

    def _end(self) -> None:
        """Say so a camera period after the last frame, and write the record a while later."""
        if not self._ended_s:
            self._ended_s = time.monotonic()
            say('end')
        elif time.monotonic() - self._ended_s > GRACE_S:
            say(json.dumps(self._record(self._sent[self._begun :])))
            self.context.try_shutdown()

    def _record(self, sent: Sequence[int]) -> dict[str, Any]:
        arrived = [(self._chunks[ns] - ns) / 1e6 for ns in sent if ns in self._chunks]
        return {
            'sent': len(sent),
            'latencies_ms': arrived,
            'pose_ms': self._pose_ms,
            'periods_ms': (np.diff(self._actions_s) * 1e3).tolist(),
        }


def say(line: str) -> None:
    sys.stdout.write(line + '\n')
    sys.stdout.flush()


def main(args: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=150)
    parser.add_argument('--rate', type=float, default=30.0, help='Hz')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480), help='px')
    given = sys.argv if args is None else args
    chosen = parser.parse_args(remove_ros_args(given)[1:])
    size = chosen.size[0], chosen.size[1]
    make = partial(BenchRobot, chosen.frames, chosen.rate, size)
    return run_threads('bench_robot', [[make]], args)


if __name__ == '__main__':
    sys.exit(main())
