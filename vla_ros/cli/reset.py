"""``vla-ros reset``: a new scene in the sim, or the e-stop released."""

from __future__ import annotations

import argparse
import sys

from vla_ros.cli.graph_arguments import add_graph_arguments, user_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to reset."""
    parser.add_argument(
        '--estop', action='store_true', help='release the e-stop of the pose node instead'
    )
    add_graph_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Hold, call the service and print its answer; 0 if it did something."""
    from vla_ros.nodes import wiring

    with user_of(args) as user:
        user.wait_status()
        if args.estop:
            answer = user.call(wiring.RESET)
        else:
            user.call(wiring.CANCEL)
            answer = user.call(wiring.SIM_RESET)
        sys.stdout.write(f'{answer.message}\n')
        return 0 if answer.success else 1
