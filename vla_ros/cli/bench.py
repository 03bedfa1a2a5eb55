"""``vla-ros bench``: how fast a policy is, and how much the graph adds to it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import os
from pathlib import Path
from typing import Any

from vla_ros.bench.rounds import host, noise, probe_s, verdict
from vla_ros.bringup import environment
from vla_ros.domain import only_graph


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='policy|pipeline')
    policy = kinds.add_parser(
        'policy',
        help='a policy alone, by backend, threads and batch size',
        description='Time a policy alone, by backend, threads and batch size.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    policy.add_argument('--policy', type=Path, help='TorchScript file; the shipped one if left')
    policy.add_argument('--config', type=Path, help='of its training; the default one if left')
    policy.add_argument('--threads', type=_counts, default=(1, 2), help='of torch')
    policy.add_argument('--batches', type=_counts, default=(1, 2, 4, 8), help='sizes')
    policy.add_argument('--calls', type=_count, default=20, help='of each, in a round')
    pipeline = kinds.add_parser(
        'pipeline',
        help='what the graph adds to the bare calls, beside nodes written plainly',
        description='Time the graph in both modes, nodes written plainly, and the bare calls.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    pipeline.add_argument('--frames', type=_count, default=150, help='of each, in a round')
    pipeline.add_argument('--rate', type=_count, default=30, help='of the camera, Hz')
    pipeline.add_argument(
        '--size',
        type=_count,
        nargs=2,
        default=(640, 480),
        metavar=('WIDTH', 'HEIGHT'),
        help='of a frame, px',
    )
    for sub in (policy, pipeline):
        sub.add_argument('--rounds', type=_count, default=3, help='in which everything runs once')
        sub.add_argument('--json', type=Path, metavar='FILE', help='write everything there too')


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f'got {text!r}, expected a number from 1')
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(','))


def run(args: argparse.Namespace) -> int:
    return {'policy': _policy, 'pipeline': _pipeline}[args.kind](args)


def _policy(args: argparse.Namespace) -> int:
    os.environ.update(environment('robot', os.environ))  # before torch reads it
    from vla_ros.bench.policy import backends, measure, table
    from vla_ros.paths import shipped_policy_path

    manifest, modules = backends(args.policy or shipped_policy_path(), args.config)
    probes: list[float] = []
    timings = list(
        measure(
            modules,
            manifest,
            args.threads,
            args.batches,
            args.rounds,
            args.calls,
            on_round=lambda: probes.append(probe_s()),
        )
    )
    print(table(timings))
    result = {'policy': manifest.name, 'sha256': manifest.sha256}
    return _end(args.json, {**result, 'timings': [asdict(t) for t in timings]}, probes)


def _pipeline(args: argparse.Namespace) -> int:
    from vla_ros.bench.pipeline import goals, Load, NAMESPACE, run_rounds, table

    load = Load(args.frames, args.rate, tuple(args.size))
    probes: list[float] = []

    def on_turn(i: int, name: str) -> None:
        probes.append(probe_s())
        print(f'round {i + 1} of {args.rounds}: {name}', flush=True)

    with only_graph(NAMESPACE):
        rounds = list(run_rounds(load, args.rounds, on_turn))
    print(table(rounds))
    result = {
        'load': asdict(load),
        'rounds': [{name: asdict(sample) for name, sample in r.items()} for r in rounds],
        'goals': [{**asdict(goal), 'holds': goal.holds} for goal in goals(rounds)],
    }
    return _end(args.json, result, probes)


def _end(path: Path | None, result: dict[str, Any], probes: list[float]) -> int:
    """Tell whether the figures can be used, and keep them."""
    warning = verdict(noise(probes))
    if warning:
        print(warning)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {'host': host(), 'noise': noise(probes), 'warning': warning, **result}
        text = json.dumps(_without_nan(document), indent=1, allow_nan=False)
        path.write_text(text + '\n', encoding='utf-8')
    return 0


def _without_nan(value: Any) -> Any:
    """Return ``value`` with None, which JSON has, for NaN, which it has not."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if value != value else value
