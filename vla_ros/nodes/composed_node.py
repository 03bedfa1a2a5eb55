"""
Camera, command, inference and pose node in one process, for less delay and less work.

Frames and chunks go from node to node by reference (``in_process``); every other topic, service
and parameter is as with a process a node. The pose node has a thread of its own, so its ticks go
on whatever the others wait for: a policy that hangs leads to a hold here too. A crash ends the
process, and so does a policy that has hung for ``inference_timeout_s``; silence is then all that
the robot hears until whoever started the process has restarted it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import os
import sys
from typing import Any

from rclpy.logging import get_logger
from rclpy.node import Node

from vla_ros.errors import EXIT_CONFIGURATION
from vla_ros.nodes.camera_node import CameraNode
from vla_ros.nodes.command_node import CommandNode
from vla_ros.nodes.inference_node import InferenceNode
from vla_ros.nodes.overrides import chosen, overrides
from vla_ros.nodes.pose_node import PoseNode
from vla_ros.nodes.runner import prepare_environment, run_threads

#: The nodes by thread. The first thread runs while the nodes of the second are still being made.
THREADS: tuple[dict[str, Callable[..., Node]], ...] = (
    {'pose': PoseNode},
    {'command': CommandNode, 'inference': InferenceNode, 'camera': CameraNode},
)

#: One process with the keys of four is what enclaves are against.
UNDER_SECURITY = (
    'got ROS_SECURITY_ENABLE=true, and the composed process has no SROS2 enclave on purpose: '
    'start it without --composed (composed:=false)'
)


def _maker(
    name: str, make: Callable[..., Node], parameters: Mapping[str, Any]
) -> Callable[[], Node]:
    # A name on the command line is that of the process.
    own_name = ['--ros-args', '-r', f'__node:={name}']
    return lambda: make(cli_args=own_name, parameter_overrides=overrides(parameters))


def main(args: Sequence[str] | None = None) -> int:
    parameters = chosen(args)
    if os.environ.get('ROS_SECURITY_ENABLE') == 'true':  # as rcl reads it
        get_logger('composed').fatal(UNDER_SECURITY)
        return EXIT_CONFIGURATION
    threads = [
        [_maker(name, make, parameters.get(name, {})) for name, make in nodes.items()]
        for nodes in THREADS
    ]
    prepare_environment()
    return run_threads('composed', threads, args)


if __name__ == '__main__':
    sys.exit(main())
