"""The node graphs of ``bringup`` as launch descriptions, for the files in ``launch/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field
import os
from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from vla_ros.bringup import environment, exposure, GRAPHS, NodeSpec, Options, options_of
from vla_ros.errors import EXIT_CONFIGURATION
from vla_ros.nodes.wiring import check_remaps

RESPAWN_DELAY_S = 2.0


def description(graph: str) -> LaunchDescription:
    """Return what starts a graph (robot, sim, rviz), with its options as launch arguments."""
    arguments = [_argument(name, option) for name, option in options_of(graph).items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start, args=[graph])])


def _argument(name: str, option: Field[Any]) -> DeclareLaunchArgument:
    is_flag = isinstance(option.default, bool)
    # Of flags ``Options.parse`` judges the value: launch itself writes True, others true.
    choices = option.metadata.get('choices')
    return DeclareLaunchArgument(
        name,
        default_value=str(option.default).lower() if is_flag else str(option.default),
        description=option.metadata['doc'],
        choices=list(choices) if choices else None,
    )


def _start(context: LaunchContext, graph: str) -> list[LaunchDescriptionEntity]:
    names = options_of(graph)
    options = Options.parse({name: LaunchConfiguration(name).perform(context) for name in names})
    check_remaps(options.remaps)
    additions = environment(graph, os.environ)
    exposed = exposure(graph, os.environ)
    told = [LogInfo(msg=exposed)] if exposed else []
    return [*told, *(_node(spec, additions) for spec in GRAPHS[graph](options))]


def _node(spec: NodeSpec, additions: Mapping[str, str]) -> Node:
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        # Relative, so that a group's namespace stays in front of it.
        namespace=spec.namespace.strip('/'),
        parameters=[
            *map(str, spec.parameter_files),
            *([spec.parameters] if spec.parameters else []),
        ],
        remappings=list(spec.remaps),
        arguments=list(spec.arguments),
        ros_arguments=['--log-level', spec.log_level, '--enclave', spec.enclave],
        additional_env=dict(additions),
        output='screen',
        respawn=spec.respawn,
        respawn_delay=RESPAWN_DELAY_S,
        on_exit=_end_after_mistake,
    )


def _end_after_mistake(event: ProcessExited, _: LaunchContext) -> Shutdown | None:
    # A restart would only repeat the sentence that the node has just said.
    if event.returncode == EXIT_CONFIGURATION:
        return Shutdown(reason=f'{event.process_name} refused its configuration, see above')
    return None
