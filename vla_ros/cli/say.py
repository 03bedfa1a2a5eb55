"""``vla-ros say``: give the running robot a command."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from vla_ros.cli.graph_arguments import add_graph_arguments, user_of
from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.command import is_stop
from vla_ros.pipeline.reason import ENDINGS, Reason

if TYPE_CHECKING:
    from vla_ros.nodes.client import Client, Status

#: From the command to the first pose.
START_TIMEOUT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command and how long to watch it."""
    parser.add_argument('text', nargs='+', help='what to do; "stop" or "" holds at once')
    parser.add_argument('--wait', action='store_true', help='until the task has ended')
    parser.add_argument('--timeout', type=float, default=60.0, help='of --wait, in seconds')
    add_graph_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Publish, then print the outcome; 0 if it was obeyed."""
    text = ' '.join(args.text)
    if any('\ud800' <= character <= '\udfff' for character in text):
        raise ConfigurationError('the command is not valid UTF-8: type it again')
    with user_of(args) as user:
        is_obeyed = user.stop(START_TIMEOUT_S) if is_stop(text) else _start(user, text, args)
        sys.stdout.write(f'{user.status.line()}\n')
        reason = user.status.reason
        if not is_obeyed and reason in (*ENDINGS, Reason.UNCONFIRMED):
            meaning = Reason(reason).doc  # type: ignore[call-arg]  # a lookup by code
            sys.stdout.write(f'{meaning}\n')
    return 0 if is_obeyed else 1


def _start(user: Client, text: str, args: argparse.Namespace) -> bool:
    before = user.wait_graph().command_stamp_ns

    def is_taken() -> bool:
        return user.status.command_stamp_ns != before

    user.say(text)
    running = user.wait(lambda: is_taken() and _has_begun(user.status), START_TIMEOUT_S)
    running = running and user.status.state in ('running', 'succeeded')
    if not is_taken():
        sys.stdout.write(
            'not taken: the command node refused it, the e-stop is set, or the pose node refused '
            'its stamp as too old or ahead; their logs tell\n'
        )
        return False
    if not args.wait:
        return running
    stamp_ns = user.status.command_stamp_ns
    user.wait(lambda: _has_ended(user.status, stamp_ns), args.timeout)
    return user.status.state == 'succeeded' and user.status.command_stamp_ns == stamp_ns


def _has_begun(status: Status) -> bool:
    return status.state == 'running' or status.reason in ENDINGS


def _has_ended(status: Status, stamp_ns: int) -> bool:
    return status.command_stamp_ns != stamp_ns or status.reason in ENDINGS
