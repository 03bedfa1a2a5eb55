"""
Someone who looks on, in the benchmark of viewers: subscribes what RViz shows, and lets it go.

usage: onlooker.py [--ros-args ...]
"""

from contextlib import suppress

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from vla_ros.nodes import wiring


def main():
    rclpy.init()
    node = Node('onlooker')
    for topic in (wiring.MARKERS, wiring.ATTENTION_IMAGE):
        topic.subscription(node, lambda message: None, raw=True)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    main()
