"""Start RViz on what the pipeline shows; ``--show-args`` tells the arguments."""

from launch import LaunchDescription

from vla_ros.nodes.launching import description


def generate_launch_description() -> LaunchDescription:
    return description('rviz')
