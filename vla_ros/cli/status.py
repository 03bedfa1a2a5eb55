"""``vla-ros status``: show what the running robot does."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import sys
from typing import Any, TYPE_CHECKING

from vla_ros.cli.graph_arguments import add_graph_arguments, user_of

if TYPE_CHECKING:
    from vla_ros.nodes.client import Client, Status

FOLLOW_PERIOD_S = 0.5
#: Nodes tell their timing and health once a second; a busy machine may miss one.
TIMING_TIMEOUT_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to show."""
    parser.add_argument('--follow', action='store_true', help='a line at every change')
    add_graph_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print one block, or lines until Ctrl-C."""
    from vla_ros.nodes.timing import rows, Timing

    with user_of(args) as user:
        timing = Timing(user)
        user.wait_status()
        if not args.follow:
            user.wait(timing.is_complete, TIMING_TIMEOUT_S)
            user.wait(lambda: user.sim_state, 0.3)
            told = block(user.status, user.sim_state, rows(timing.values), timing.problems())
            sys.stdout.write(told)
            return 0
        _follow(user)
    return 0


def block(
    status: Status,
    sim_state: dict[str, Any] | None,
    timing: Mapping[str, str],
    problems: Mapping[str, str],
) -> str:
    """
    Return the status as aligned lines.

    With the sim's truth where there is a sim, and ``problems``: what is wrong, by node.
    """
    values = status.values
    rows = {
        'state': status.state,
        'reason': status.reason.replace('_', ' '),
        'command': status.command or '(none)',
        'progress': f'{float(values.get("progress", "0")):.0%}',
        'path': f'{float(values.get("path_length_m", "0")):.2f} m',
        **(timing or {'latency': '(nothing measured yet)'}),
    }
    if sim_state is not None:
        rows['sim'] = f'seed {sim_state["seed"]}, {sim_state["time_s"]:.1f} s'
        rows['objects'] = ', '.join(sim_state['objects'])
        rows['zones'] = ', '.join(sim_state['zones'])
    rows |= {f'{node} node': problem for node, problem in problems.items()}
    return ''.join(f'{name:<14} {value}\n' for name, value in rows.items())


def _follow(user: Client) -> None:
    told = ''
    while True:
        if user.status.line() != told:
            told = user.status.line()
            sys.stdout.write(f'{told}\n')
            sys.stdout.flush()
        user.wait(lambda: user.status.line() != told, FOLLOW_PERIOD_S)  # noqa: B023
