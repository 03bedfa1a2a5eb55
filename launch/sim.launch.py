"""Start the pipeline with a simulated robot; ``--show-args`` tells the arguments."""

from launch import LaunchDescription

from vla_ros.nodes.launching import description


def generate_launch_description() -> LaunchDescription:
    return description('sim')
