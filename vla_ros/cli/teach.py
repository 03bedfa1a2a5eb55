"""``vla-ros teach``: more words for a policy, from sentences alone."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from vla_ros.limits import check_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which policy, where to, and how it was trained."""
    parser.add_argument('policy', type=Path, metavar='POLICY', help='TorchScript file of training')
    parser.add_argument('--out', type=Path, required=True, help='folder of the new policy')
    parser.add_argument(
        '--words', type=Path, help='YAML of more words; see config/train/words.yaml'
    )
    parser.add_argument(
        '--config', type=Path, help='of its training; the one beside it, or the default, if left'
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')


def run(args: argparse.Namespace) -> int:
    """Teach it and print where it is."""
    from vla_ros.training.own_words import read_words
    from vla_ros.training.teaching import teach

    check_least(args, workers=1)
    words = read_words(args.words) if args.words else {}
    taught = teach(args.policy, args.out, args.workers, args.config, words)
    print(f'policy: {taught}')
    print(f'what it can do: vla-ros eval --policy {taught}')
    return 0
