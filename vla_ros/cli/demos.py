"""``vla-ros demos``: the scripted expert's demonstrations, without training on them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--name', default='tabletop', help='of the run that they are for')
    parser.add_argument('--config', type=Path, help='YAML over config/train/default.yaml')
    parser.add_argument('--episodes', type=int, help='instead of the configured number')
    parser.add_argument('--seed', type=int, help='instead of the configured one')
    parser.add_argument('--runs', type=Path, default=Path('runs'), help='folder of all runs')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')


def run(args: argparse.Namespace) -> int:
    from vla_ros.training.collection import collect, load_frames
    from vla_ros.training.config import load_config

    config = load_config(args.config)
    episodes = config.episodes if args.episodes is None else args.episodes
    seed = config.seed if args.seed is None else args.seed
    folder = args.runs / args.name / 'demonstrations'
    shards = collect(folder, config.demonstrations, episodes, seed, args.workers)
    frames = sum(len(shard) for shard in load_frames(shards, config.demonstrations))
    print(f'{frames} frames of {episodes} episodes in {folder}')
    return 0
