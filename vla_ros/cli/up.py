"""``vla-ros up``: start the nodes and keep them running."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
import os
from typing import Any

from vla_ros import bringup
from vla_ros.domain import only_graph
from vla_ros.supervisor import Log, Supervisor

GRAPHS = ('sim', 'robot')
READY_TIMEOUT_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each graph, with the flags that graph has."""
    graphs = parser.add_subparsers(dest='graph', required=True, metavar='|'.join(GRAPHS))
    for graph in GRAPHS:
        purpose = (bringup.GRAPHS[graph].__doc__ or '').partition(' ')[2].rstrip('.')
        sub = graphs.add_parser(
            graph,
            help=purpose,
            description=f'Start {purpose}.',
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        for name, option in bringup.options_of(graph).items():
            _add_option(sub, name, option.default, option.metadata)


def _add_option(parser: argparse.ArgumentParser, name: str, default: Any, metadata: Any) -> None:
    flag = '--' + name.replace('_', '-')
    if isinstance(default, bool):
        parser.add_argument(
            flag, action=argparse.BooleanOptionalAction, default=default, help=metadata['doc']
        )
    else:
        parser.add_argument(
            flag,
            type=type(default),
            default=default,
            choices=metadata.get('choices'),
            metavar=None if 'choices' in metadata else name.rpartition('_')[2].upper(),
            help=metadata['doc'],
        )


def run(args: argparse.Namespace) -> int:
    """Run the graph until Ctrl-C or SIGTERM; 1 if every node is down for good."""
    chosen = {name: getattr(args, name) for name in bringup.options_of(args.graph)}
    options = bringup.Options(**chosen)
    specs = bringup.GRAPHS[args.graph](options)
    additions = bringup.environment(args.graph, os.environ)
    os.environ.update(additions)  # this process is a participant too
    _check_rclpy()
    log = Log([*(spec.name for spec in specs), 'vla-ros'])
    try:
        with ExitStack() as stack:
            stack.enter_context(only_graph(options.namespace))
            supervisor = stack.enter_context(Supervisor(specs, log=log))
            _tell_ready(supervisor, options, log)
            supervisor.run()
    except KeyboardInterrupt:
        log.write('vla-ros', 'everything has ended')
        return 0
    log.write('vla-ros', 'no node is left', 'ERROR')
    return 1


def _check_rclpy() -> None:
    """Raise ModuleNotFoundError here and not in every node."""
    import rclpy  # noqa: F401


def _tell_ready(supervisor: Supervisor, options: bringup.Options, log: Log) -> None:
    from vla_ros.nodes.client import client

    with client(options.namespace, on_spin=supervisor.poll) as user:
        try:
            user.wait_ready(READY_TIMEOUT_S)
        except TimeoutError as error:
            log.write('vla-ros', str(error), 'WARN')
        else:
            flag = f' --namespace {options.namespace}' if options.namespace else ''
            log.write('vla-ros', f'ready: vla-ros say{flag} "pick up the red block"')
