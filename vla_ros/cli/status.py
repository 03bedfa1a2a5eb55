"""``vla-ros status``: show what the running robot does."""

from __future__ import annotations

import argparse
import sys
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from vla_ros.nodes.client import Client, Status

FOLLOW_PERIOD_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to show."""
    parser.add_argument('--follow', action='store_true', help='a line at every change')
    parser.add_argument('--namespace', default='', help='of the graph')


def run(args: argparse.Namespace) -> int:
    """Print one block, or lines until Ctrl-C."""
    from vla_ros.nodes.client import client

    with client(args.namespace) as user:
        user.wait_status()
        if not args.follow:
            user.wait(lambda: user.sim_state, 0.3)
            sys.stdout.write(block(user.status, user.sim_state))
            return 0
        _follow(user)
    return 0


def block(status: Status, sim_state: dict[str, Any] | None) -> str:
    """Return the status as aligned lines, with the sim's truth where there is a sim."""
    values = status.values
    rows = {
        'state': status.state,
        'reason': status.reason.replace('_', ' '),
        'command': status.command or '(none)',
        'progress': f'{float(values.get("progress", "0")):.0%}',
        'path': f'{float(values.get("path_length_m", "0")):.2f} m',
        'latency': _latency(values),
    }
    if sim_state is not None:
        rows['sim'] = f'seed {sim_state["seed"]}, {sim_state["time_s"]:.1f} s'
        rows['objects'] = ', '.join(sim_state['objects'])
        rows['zones'] = ', '.join(sim_state['zones'])
    return ''.join(f'{name:<9} {value}\n' for name, value in rows.items())


def _latency(values: dict[str, str]) -> str:
    shown = [
        f'{key.split("_")[1]} {value} ms'
        for key, value in values.items()
        if key.startswith('latency_p') and value != 'nan'
    ]
    return ', '.join(shown) or '(no pose yet)'


def _follow(user: Client) -> None:
    told = ''
    while True:
        if user.status.line() != told:
            told = user.status.line()
            sys.stdout.write(f'{told}\n')
            sys.stdout.flush()
        user.wait(lambda: user.status.line() != told, FOLLOW_PERIOD_S)  # noqa: B023
