"""
Tries every promise and writes a ledger: ``python -m faults.campaign --help``.

One JSON line a promise into out/faults.jsonl, a table at the end; exit code 1 if one is broken.
Promises of which no time is judged are tried beside the others, by two processes of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.ledger import Promise

PROFILE = str(Path(__file__).with_name('short_lease.xml'))
ENVIRONMENT = {
    'ROS_DOMAIN_ID': str(20 + os.getpid() % 80),
    'FASTRTPS_DEFAULT_PROFILES_FILE': PROFILE,
    'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE,
    # With LOCALHOST, rmw_fastrtps would add shared memory to the profile's sockets.
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SYSTEM_DEFAULT',
    'OMP_NUM_THREADS': '1',
    'TOKENIZERS_PARALLELISM': 'false',
}


#: What each process of a campaign tries, by what the promises need.
STREAMS = {'timed': 'ros', 'untimed': 'ros untimed', 'plain': ''}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='faults', description=__doc__)
    parser.add_argument('--tier', choices=('fast', 'full'), default='full')
    parser.add_argument('--only', default='', help='ids or their beginnings, with commas')
    parser.add_argument('--scale', type=float, default=1.0, help='share of the trials')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--out', type=Path, default=Path('out/faults.jsonl'))
    parser.add_argument('--resume', action='store_true', help='keep what the ledger has already')
    parser.add_argument('--without-ros', action='store_true', help='plain computing only')
    parser.add_argument('--stream', choices=STREAMS, help='only those, in this process')
    parser.add_argument('--list', action='store_true', help='show the promises and end')
    parser.add_argument('--defects', action='store_true', help='try the seeded defects instead')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    outside = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from faults import ledger
    from faults.every_promise import PROMISES

    wanted = tuple(args.only.split(',')) if args.only else ('',)
    chosen = [
        p
        for p in PROMISES.values()
        if p.id.startswith(wanted) and not (args.without_ros and p.needs)
    ]
    if args.list:
        for p in chosen:
            tell(f'{p.id:<10} {p.sizes[0]:>9,} {p.sizes[1]:>10,}  {p.needs:<4} {p.text}')
        return 0
    if args.defects:
        return try_defects(args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = ledger.read(args.out) if args.resume else []
    if args.stream:
        _try([p for p in chosen if p.needs == STREAMS[args.stream]], done, args)
        return 0
    args.out.write_text(''.join(json.dumps(line) + '\n' for line in done))
    options = sys.argv[1:] if argv is None else argv
    command = [sys.executable, '-m', 'faults.campaign', *options, '--resume', '--stream']
    domain = int(os.environ['ROS_DOMAIN_ID'])
    with ExitStack() as ending:
        beside = [
            ending.enter_context(
                subprocess.Popen(
                    [*command, name],
                    env={**outside, 'ROS_DOMAIN_ID': str((domain + i) % 100)},
                    # Plain computing may take what the running nodes leave.
                    preexec_fn=(lambda: os.nice(10)) if name == 'plain' else None,
                )
            )
            for i, (name, needs) in enumerate(STREAMS.items())
            if name != 'timed' and any(p.needs == needs for p in chosen)
        ]
        _try([p for p in chosen if p.needs == 'ros'], done, args)
    order = list(PROMISES)
    done = sorted(ledger.read(args.out), key=lambda line: order.index(str(line['id'])))
    tell('\n' + ledger.table(done))
    return int(any(p.returncode for p in beside) or any(line['violations'] for line in done))


def _try(
    chosen: Sequence[Promise], done: list[dict[str, object]], args: argparse.Namespace
) -> None:
    """Try promises that the ledger does not have yet, and add a line for each."""
    from faults import ledger

    with tempfile.TemporaryDirectory(prefix='faults_') as folder:
        os.environ.setdefault('ROS_LOG_DIR', folder)
        os.environ['ROS_HOME'] = folder  # no e-stop of a trial stops a robot of this user
        for p in chosen:
            size = max(1, round(p.sizes[args.tier == 'full'] * args.scale))
            if any((line['id'], line['size']) == (p.id, size) for line in done):
                continue
            tell(f'{p.id}: {p.text} ({size:,}) ...')
            line = ledger.keep(p, size, args.seed, Path(folder))
            with args.out.open('a') as file:
                file.write(json.dumps(line) + '\n')
            tell(ledger.table([line]).splitlines()[1], *line['examples'])


def tell(*lines: str) -> None:
    sys.stdout.write('\n  '.join(lines) + '\n')
    sys.stdout.flush()


def try_defects(seed: int) -> int:
    """Seed each defect into the gate; return 1 unless each breaks a promise."""
    from faults.defects import caught_by, DEFECTS

    caught = {name: caught_by(name, seed) for name in DEFECTS}
    for name, ids in caught.items():
        tell(f'{name:<24} {"caught by " + ", ".join(ids) if ids else "NOT CAUGHT"}')
    tell(f'{sum(map(bool, caught.values()))}/{len(caught)} seeded defects caught')
    return int(not all(caught.values()))


if __name__ == '__main__':
    sys.exit(main())
