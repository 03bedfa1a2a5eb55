"""``vla-ros viz``: a live page of the running graph, for any browser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import signal
import subprocess
import sys

from vla_ros.cli.graph_arguments import add_graph_arguments, user_of
from vla_ros.errors import ConfigurationError

PORT = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to serve it and of which graph."""
    parser.add_argument('--port', type=int, default=PORT, help='of the page; 0: any free one')
    parser.add_argument(
        '--bind',
        default='127.0.0.1',
        metavar='ADDRESS',
        help='address to listen on; any but loopback asks visitors for a token',
    )
    add_graph_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the address and serve until Ctrl-C."""
    if not 0 <= args.port <= 65535:
        raise ConfigurationError(f'--port is {args.port}; valid: 0 to 65535')
    from vla_ros.nodes.web_bridge import WebBridge
    from vla_ros.web.access import Access
    from vla_ros.web.server import LiveServer

    with user_of(args) as user, LiveServer(Access.of(args.bind), args.port) as server:
        print(f'live page: {server.address}', flush=True)
        WebBridge(user, server).run()
    return 0


@contextmanager
def live_page(wanted: bool) -> Iterator[None]:
    """Serve the page in a process of its own while the block runs, if ``wanted``."""
    if not wanted:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, '-m', 'vla_ros.cli', 'viz'], stdin=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
