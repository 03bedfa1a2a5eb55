"""``vla-ros expert``: how often the scripted expert succeeds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--episodes', type=int, default=200, help='episodes of each task')
    parser.add_argument('--seed', type=int, default=0, help='seed of the first scene')
    parser.add_argument('--json', type=Path, help='also write the rates there')


def run(args: argparse.Namespace) -> int:
    from vla_ros.evaluation.expert import evaluate_expert, success_rates
    from vla_ros.evaluation.statistics import rates_table

    rates = success_rates(evaluate_expert(args.episodes, args.seed))
    print(rates_table('task', rates))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        report = {'tasks': {name: rate.to_dict() for name, rate in rates.items()}}
        args.json.write_text(json.dumps(report, indent=2) + '\n')
    return 0
