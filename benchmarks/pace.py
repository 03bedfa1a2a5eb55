"""
The pictures of a camera at an even pace, for baselines that have no graph, and their stopwatch.

Writes the same lines as the benchmark's robot (``vla_ros/nodes/bench_robot.py``).
"""

import argparse
import json
import sys
import time

import numpy as np

from vla_ros.bench.table import picture_of_table

#: Pictures before those that count.
WARM_UP_FRAMES = 30
#: What has not come so long after the last picture never comes.
GRACE_S = 0.5


def arguments(description: str) -> argparse.Namespace:
    """Return those that a baseline is started with; other ones are for ROS."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--frames', type=int, default=150)
    parser.add_argument('--rate', type=float, default=30.0, help='Hz')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480), help='px')
    parser.add_argument('--port', type=int, default=8765)
    return parser.parse_known_args()[0]


class Frames:
    """Iterate over number and picture at the pace; say ``answered`` from any thread."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._picture, pose = picture_of_table(tuple(args.size))
        #: Position, quaternion and gripper of a robot that stands still.
        self.state = np.append(pose.vector(), 0.0)
        self._count, self._period_s = args.frames, 1.0 / args.rate
        self._taken_s: dict[int, float] = {}
        self._latencies_ms: dict[int, float] = {}

    def __iter__(self):
        due_s = time.monotonic()
        for number in range(WARM_UP_FRAMES + self._count):
            if number == WARM_UP_FRAMES:
                say('begin')
            due_s += self._period_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            self._taken_s[number] = due_s  # who comes too late to take it is late all the same
            yield number, self._picture
        say('end')
        time.sleep(GRACE_S)  # the CPU time of this process is being read
        latencies = [
            ms for number, ms in list(self._latencies_ms.items()) if number >= WARM_UP_FRAMES
        ]
        say(json.dumps({'sent': self._count, 'latencies_ms': latencies, 'periods_ms': []}))

    def answered(self, number: int) -> None:
        """Note that the chunk of a picture has come."""
        self._latencies_ms[number] = (time.monotonic() - self._taken_s[number]) * 1e3


def say(line: str) -> None:
    sys.stdout.write(line + '\n')
    sys.stdout.flush()
