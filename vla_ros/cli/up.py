"""``vla-ros up``: start the nodes and keep them running."""

from __future__ import annotations

import argparse
from typing import Any

from vla_ros import bringup
from vla_ros.supervisor import running, Supervisor

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
    elif metadata.get('repeated'):
        parser.add_argument(flag, action='append', default=[], help=metadata['doc'])
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
    options = bringup.Options(**{**chosen, 'remap': ' '.join(chosen['remap'])})
    if options.remap:
        from vla_ros.nodes.wiring import check_remaps

        check_remaps(options.remaps)
    try:
        with running(args.graph, options) as supervisor:
            _tell_ready(supervisor, options)
            supervisor.run()
    except KeyboardInterrupt:
        print('everything has ended')
        return 0
    print('no node is left')
    return 1


def _tell_ready(supervisor: Supervisor, options: bringup.Options) -> None:
    from vla_ros.nodes.client import client

    with client(options.namespace, supervisor.poll, options.remap) as user:
        try:
            user.wait_ready(READY_TIMEOUT_S)
        except TimeoutError as error:
            supervisor.log.write('vla-ros', str(error), 'WARN')
        else:
            flag = f' --namespace {options.namespace}' if options.namespace else ''
            supervisor.log.write('vla-ros', f'ready: vla-ros say{flag} "pick up the red block"')
