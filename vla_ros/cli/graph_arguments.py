"""Which running graph a command is for: what say, status, record, viz and reset have alike."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vla_ros.nodes.client import Client


def add_graph_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the graph is, and which of its topics have other names."""
    parser.add_argument('--namespace', default='', help='of the graph')
    parser.add_argument(
        '--remap',
        action='append',
        default=[],
        metavar='OLD:=NEW',
        help='a topic of docs/nodes.md that has another name there; as often as needed',
    )


@contextmanager
def user_of(args: argparse.Namespace) -> Iterator[Client]:
    """Open a Client of that graph; raises ConfigurationError for what cannot be."""
    from vla_ros.nodes.client import client

    with client(args.namespace, remap=' '.join(args.remap)) as user:
        yield user
