"""``vla-ros eval``: how often a policy succeeds on new scenes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--policy', type=Path, help='TorchScript file; the shipped one if left')
    parser.add_argument('--episodes', type=int, default=50, help='episodes of each task')
    parser.add_argument('--seed', type=int, default=0, help='seed of the first scene')
    parser.add_argument(
        '--split',
        choices=('known', 'patterns', 'words', 'both'),
        default='known',
        help='known phrasings, unseen patterns, unseen words, or both unseen',
    )
    parser.add_argument(
        '--latency', type=float, default=0.06, help='s between an image and its action'
    )
    parser.add_argument('--workers', type=int, help='processes; one a core if left')
    parser.add_argument(
        '--record', action='store_true', help="write the rates into the policy's manifest"
    )
    parser.add_argument('--json', type=Path, help='also write the rates there')


def run(args: argparse.Namespace) -> int:
    from vla_ros.evaluation.rollouts import (
        EpisodeSpec,
        evaluate,
        outcome_lines,
        success_rates,
    )
    from vla_ros.evaluation.statistics import rates_table
    from vla_ros.models.export import write_metrics
    from vla_ros.paths import shipped_policy_path
    from vla_ros.sim.tasks import KINDS

    seeds = range(args.seed, args.seed + args.episodes)
    specs = [EpisodeSpec(kind, seed, args.split) for kind in KINDS for seed in seeds]
    policy = args.policy or shipped_policy_path()
    episodes = evaluate(policy, specs, args.latency, args.workers)
    rates = success_rates(episodes)
    for line in outcome_lines(episodes):
        print(line)
    print(rates_table('task', rates))
    if args.record:
        measured = {'success' if name == 'all' else name: r.success for name, r in rates.items()}
        write_metrics(policy, {**measured, 'episodes': len(episodes)})
    if args.json:
        total = rates['all'].to_dict()
        tasks = {name: rate.to_dict() for name, rate in rates.items() if name != 'all'}
        report = {'splits': {args.split: {**total, 'tasks': tasks}}}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=2) + '\n')
    return 0
