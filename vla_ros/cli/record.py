"""``vla-ros record``: the running graph as a rosbag2, for the report, RViz and Foxglove."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
import time
from typing import TYPE_CHECKING

from vla_ros.cli.graph_arguments import add_graph_arguments, user_of
from vla_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from vla_ros.bag.writer import BagWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to, how long and what."""
    parser.add_argument(
        '--out', type=Path, help='new folder of the bag (default: out/bags/DATE_TIME)'
    )
    parser.add_argument('--seconds', type=float, help='end by itself after so long')
    parser.add_argument(
        '--overlay', action='store_true', help='also vla/attention_image, some 4 MB a second'
    )
    parser.add_argument(
        '--saliency', action='store_true', help='also vla/saliency, which slows the policy down'
    )
    parser.add_argument(
        '--compressed',
        action='store_true',
        help='camera/image_raw/compressed instead of camera/image_raw',
    )
    add_graph_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Record until Ctrl-C; 1 if nothing was heard."""
    if args.seconds is not None and not 0.0 < args.seconds < 1e9:
        raise ConfigurationError(f'--seconds is {args.seconds}; valid: more than 0')
    from vla_ros.nodes.bag_recorder import BagRecorder

    out = args.out or Path('out/bags') / time.strftime('%Y-%m-%d_%H%M%S')
    with user_of(args) as user:
        user.wait_status()
        with _open(out) as bag:
            recorder = BagRecorder(user, bag, args.overlay, args.saliency, args.compressed)
            print(f'recording to {out}; Ctrl-C ends it', flush=True)
            with suppress(KeyboardInterrupt):
                user.wait(lambda: False, args.seconds or float('inf'))
    if recorder.silent:
        print(
            f'nothing came on {", ".join(recorder.silent)}; what has another name on this robot '
            'needs --remap OLD:=NEW'
        )
    messages = sum(bag.counts.values())
    print(
        f'{messages} messages on {len(bag.counts)} topics, {bag.size_bytes / 1e6:.1f} MB; '
        f'see it with: vla-ros report {out}'
    )
    return 0 if messages else 1


def _open(out: Path) -> BagWriter:
    """Return a new bag; raises ConfigurationError where none can be written."""
    from vla_ros.bag.writer import BagWriter

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return BagWriter(out)
    except OSError as error:
        raise ConfigurationError(
            f'cannot write to {out}: {error.strerror}; choose another folder with --out'
        ) from error
