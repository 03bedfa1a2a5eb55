"""``vla-ros report``: a recording as one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_ros.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which bag and where to."""
    parser.add_argument('bag', type=Path, help='folder that "vla-ros record" wrote')
    parser.add_argument('--out', type=Path, help='file to write (default: BAG/report.html)')
    parser.add_argument('--namespace', default='', help='of the graph in the bag')


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from vla_ros.bag.report import write_report

    out = args.out or args.bag / 'report.html'
    try:
        write_report(args.bag, out, args.namespace)
    except OSError as error:
        raise ConfigurationError(
            f'cannot write {out}: {error.strerror}; choose another file with --out'
        ) from error
    print(f'report: {out}')
    return 0
