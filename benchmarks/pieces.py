"""
What each measure against wasted processor time brings, before and after, a piece at a time.

Every figure is the processor time of a process of its own, ms for one message or frame. Before and
after take turns in rounds; told is the median of each, and of the ratio within a round.

usage: pieces.py [--rounds N] [--turns N]
"""

import argparse
from functools import partial
import os
import subprocess
import sys
import time

import numpy as np
from pace import say

from vla_ros.bench.rounds import ratio
from vla_ros.bringup import environment

VGA, MODEL_PX = (480, 640, 3), 96
WARM_UP_TURNS, WAIT_S, TICK_S = 30, 0.1, 0.01
#: What has not come by then never comes.
LOST_S = 1.0


def cpu_ms(turn, turns):
    """Return the processor time of one call of ``turn``."""
    for _ in range(WARM_UP_TURNS):
        turn()
    started_s = time.process_time()
    for _ in range(turns):
        turn()
    return (time.process_time() - started_s) * 1e3 / turns


def picture(shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def travel(topic, message, executor, is_joined, turns):
    """Send messages from publisher to subscriber of one node, one after another."""
    import rclpy
    from rclpy.node import Node

    from vla_ros.nodes import executors, in_process

    rclpy.init()
    if is_joined:
        in_process.open_for(rclpy.get_default_context())
    node, got = Node('pieces'), []
    spinner = executors.choose(executor)()
    publisher = topic.publisher(node)
    topic.subscription(node, got.append)
    spinner.add_node(node)

    def turn():
        got.clear()
        publisher.publish(message())
        until_s = time.monotonic() + LOST_S
        while not got and time.monotonic() < until_s:
            spinner.spin_once(timeout_sec=WAIT_S)

    return cpu_ms(turn, turns)


def pose(executor, turns):
    from geometry_msgs.msg import PoseStamped

    from vla_ros.nodes import wiring

    return travel(wiring.ROBOT_POSE, PoseStamped, executor, False, turns)


def tick(executor, turns):
    """Send a pose in every tick of a node that keeps time, and receive it."""
    from contextlib import suppress

    from geometry_msgs.msg import PoseStamped
    import rclpy
    from rclpy.clock import Clock, ClockType
    from rclpy.executors import ExternalShutdownException
    from rclpy.node import Node

    from vla_ros.nodes import executors, wiring

    class Ticking(Node, executors.KeepsTime):
        def __init__(self):
            super().__init__('pieces')
            self._publisher = wiring.ROBOT_POSE.publisher(self)
            wiring.ROBOT_POSE.subscription(self, lambda message: None)
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self.ticker = self.create_timer(TICK_S, self._tick, clock=steady)
            self.cpu_s = []

        def _tick(self):
            self._publisher.publish(PoseStamped())
            self.cpu_s.append(time.process_time())
            if len(self.cpu_s) > WARM_UP_TURNS + turns:
                rclpy.try_shutdown()

    rclpy.init()
    node, spinner = Ticking(), executors.choose(executor)()
    spinner.add_node(node)
    with suppress(ExternalShutdownException):
        executors.spin(spinner, [node])
    return (node.cpu_s[-1] - node.cpu_s[WARM_UP_TURNS]) * 1e3 / turns


def image(keeps_memory, turns):
    from vla_ros.freed_memory import keep_freed_memory
    from vla_ros.nodes import wiring
    from vla_ros.nodes.conversions import header, image_to_message

    if keeps_memory:
        keep_freed_memory()
    message = partial(image_to_message, picture(VGA), header(1, 'eye'))
    return travel(wiring.IMAGE_RAW, message, 'events', False, turns)


def hand_over(is_joined, turns):
    from vla_ros.nodes import wiring
    from vla_ros.nodes.conversions import header, image_to_message

    message = partial(image_to_message, picture((MODEL_PX, MODEL_PX, 3)), header(1, 'eye'))
    return travel(wiring.IMAGE, message, 'events', is_joined, turns)


def read(is_list, turns):
    from vla_ros.freed_memory import keep_freed_memory
    from vla_ros.nodes.conversions import header, image_to_message
    from vla_ros.pipeline.image import decode_rgb, RawImage

    keep_freed_memory()
    message = image_to_message(picture(VGA), header(1, 'eye'))
    if is_list:
        return cpu_ms(lambda: np.array(list(message.data), np.uint8).reshape(VGA), turns // 10)
    return cpu_ms(lambda: decode_rgb(RawImage.of(message), max_bytes=10**8), turns)


def write(is_list, turns):
    from sensor_msgs.msg import Image

    from vla_ros.freed_memory import keep_freed_memory
    from vla_ros.nodes.conversions import header, image_to_message

    keep_freed_memory()
    pixels, head = picture(VGA), header(1, 'eye')
    if is_list:
        return cpu_ms(lambda: Image(header=head, data=pixels.ravel().tolist()), turns // 10)
    return cpu_ms(lambda: image_to_message(pixels, head), turns)


def resize(is_pillow, turns):
    from PIL import Image

    from vla_ros.pipeline.image import fit

    pixels, size = picture((480, 480, 3)), (MODEL_PX, MODEL_PX)
    if is_pillow:
        return cpu_ms(
            lambda: np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX)), turns
        )
    return cpu_ms(lambda: fit(pixels, *size), turns)


#: Before and after, by what is done.
PIECES = {
    'a pose, sent and received: executor, single-threaded / events': (
        partial(pose, 'single'),
        partial(pose, 'events'),
    ),
    'a tick, and a pose sent and received: executor, single-threaded / events': (
        partial(tick, 'single'),
        partial(tick, 'events'),
    ),
    'a 640x480 image, sent and received: freed memory returned / kept': (
        partial(image, False),
        partial(image, True),
    ),
    'a 96x96 image between two nodes of a process: topic / reference': (
        partial(hand_over, False),
        partial(hand_over, True),
    ),
    'a 640x480 message to an array: list / view': (partial(read, True), partial(read, False)),
    'a 640x480 array to a message: list / array.array': (
        partial(write, True),
        partial(write, False),
    ),
    '480x480 to 96x96, averaging areas: Pillow / OpenCV': (
        partial(resize, True),
        partial(resize, False),
    ),
}


def one(name, moment, turns):
    """Measure in a process of its own: what a piece sets cannot be undone."""
    command = [sys.executable, __file__, '--turns', str(turns), '--one', name, moment]
    settings = {**os.environ, **environment('sim', os.environ)}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--turns', type=int, default=300, help='of each, in a round')
    parser.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    moments = ('before', 'after')
    if args.one:
        name, moment = args.one
        say(str(PIECES[name][moments.index(moment)](args.turns)))
        return
    say(f'{"CPU ms a turn":<74}  before   after  after / before')
    for name in PIECES:
        rounds = []
        for _ in range(args.rounds):
            rounds.append({moment: one(name, moment, args.turns) for moment in moments})
        before, after = (float(np.median([r[moment] for r in rounds])) for moment in moments)
        say(f'{name:<74} {before:>7.3f} {after:>7.3f}  {ratio(rounds, "after", "before")}')


if __name__ == '__main__':
    main()
