"""Start the pipeline on a robot with a camera; ``--show-args`` tells the arguments."""

from launch import LaunchDescription

from vla_ros.nodes.launching import description


def generate_launch_description() -> LaunchDescription:
    return description('robot')
