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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='policy')
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
    for sub in (policy,):
        sub.add_argument('--rounds', type=_count, default=3, help='in which everything runs once')
        sub.add_argument('--json', type=Path, metavar='FILE', help='write everything there too')


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f'got {text!r}, expected a number from 1')
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(','))


def run(args: argparse.Namespace) -> int:
    return {'policy': _policy}[args.kind](args)


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


def _end(path: Path | None, result: dict[str, Any], probes: list[float]) -> int:
    """Tell whether the figures can be used, and keep them."""
    warning = verdict(noise(probes))
    if warning:
        print(warning)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {'host': host(), 'noise': noise(probes), 'warning': warning, **result}
        path.write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')
    return 0
