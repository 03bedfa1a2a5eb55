"""``vla-ros train``: from nothing to a policy file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from vla_ros.limits import check_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--name', default='tabletop', help='of the policy, and of its run folder')
    parser.add_argument('--config', type=Path, help='YAML over config/train/default.yaml')
    parser.add_argument('--seed', type=int, help='instead of the one in the configuration')
    parser.add_argument('--runs', type=Path, default=Path('runs'), help='folder of all runs')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu', help='of the steps')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from vla_ros.training.config import load_config
    from vla_ros.training.parallel import is_first
    from vla_ros.training.run import train

    check_least(args, seed=0, workers=1)
    config = load_config(args.config)
    if args.seed is not None:
        config = replace(config, seed=args.seed)
    path = train(config, args.runs / args.name, args.name, args.workers, args.device)
    if is_first():
        print(f'policy: {path}')
    return 0
