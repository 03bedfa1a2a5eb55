"""
Parameters that whoever starts a node has chosen; they win over every file.

A parameter after ``-p`` does not: rcl keeps it as one of the section ``/**``, and where a file has
that section before one with the node's name, the latter wins.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json
import sys
from typing import Any

from rclpy.parameter import Parameter


def chosen(args: Sequence[str] | None) -> dict[str, Any]:
    """Return those of the command line ``args``, with the program in front; None: this one's."""
    # Abbreviations would take --param, which is of ROS.
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(
        '--parameters',
        type=json.loads,
        default={},
        metavar='JSON',
        help='as {"image_width": 96}, of several nodes as {"camera": {"image_width": 96}}; they '
        'win over files',
    )
    known, _ = parser.parse_known_args((sys.argv if args is None else args)[1:])
    return dict(known.parameters)


def overrides(parameters: Mapping[str, Any]) -> list[Parameter]:
    """Return them as rclpy's nodes take them."""
    return [Parameter(name, value=value) for name, value in parameters.items()]
