"""``vla-ros zoo``: every policy, trained on the same demonstrations and measured alike."""

from __future__ import annotations

import argparse
from itertools import groupby
import os
from pathlib import Path
import time
from typing import TYPE_CHECKING

from vla_ros.errors import ConfigurationError
from vla_ros.limits import check_least

if TYPE_CHECKING:
    from vla_ros.evaluation.episodes import Episode
    from vla_ros.training.config import TrainConfig

_DEFAULT_SPLITS = 'known,patterns,words,pairs,swap,refuse'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--policies', metavar='A,B', help='some of them; all if left')
    parser.add_argument(
        '--config', type=Path, help='YAML over the default; config/train/zoo.yaml if left'
    )
    parser.add_argument('--steps', type=int, help='of training, instead of the configuration')
    parser.add_argument('--runs', type=Path, default=Path('runs/zoo'), help='folder of all runs')
    parser.add_argument(
        '--data',
        type=Path,
        help='run whose demonstrations are used, with --config its config.yaml; new ones are made '
        'if left',
    )
    parser.add_argument('--splits', default=_DEFAULT_SPLITS, help='to be measured on')
    parser.add_argument('--episodes', type=int, default=200, help='of each split')
    parser.add_argument('--seed', type=int, default=0, help='of the first scene')
    parser.add_argument(
        '--ros', type=int, default=1, help='episodes of each task in the running graph as well'
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='policies at once')
    parser.add_argument(
        '--out', type=Path, default=Path('docs/zoo.md'), help='page; a JSON file beside it'
    )


def run(args: argparse.Namespace) -> int:
    from vla_ros.evaluation.zoo import Budget, Member, page, to_json
    from vla_ros.training.kept import source_path, told
    from vla_ros.training.run import check
    from vla_ros.training.zoo import borrow, config_of, minutes, policy_path, prepare, train_all

    check_least(args, episodes=1, seed=0, ros=0, workers=1, steps=1)
    names, splits = _names(args.policies), _splits(args.splits)
    config = _config(args)
    configs = {name: config_of(config, name) for name in names}
    data = args.runs / 'data'
    if args.data is not None:
        borrow(config, args.data, data)
    for chosen in configs.values():
        check(chosen, data)
    frames = prepare(config, data, args.workers)
    _tell(f'{frames} frames in {data}')
    os.environ['TQDM_DISABLE'] = '1'  # bars of several processes overwrite each other
    trained = []
    for name, error in train_all(configs, args.runs, data, args.workers):
        if error is not None:
            _tell(f'{name}: failed: {error}')
            continue
        trained.append(name)
        _tell(f'{name}: trained in {minutes(args.runs / name):.1f} min')
    for name in trained:
        _measure(policy_path(args.runs, name), splits, args)
    # Timed when nothing else runs.
    members = [
        Member.of(name, policy_path(args.runs, name), minutes(args.runs / name))
        for name in trained
    ]
    parts = told(source_path(data)) if config.parts_of else ''
    budget = Budget(config, frames, _command(args), parts)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(page(members, budget))
    args.out.with_suffix('.json').write_text(to_json(members, budget))
    _tell(f'{args.out}: {len(members)} of {len(names)} policies')
    return 0 if len(trained) == len(names) else 1


def _names(chosen: str | None) -> list[str]:
    from vla_ros.models.own import FIX
    from vla_ros.models.registry import policy_names

    names = chosen.split(',') if chosen else list(policy_names())
    if unknown := [name for name in names if name not in policy_names()]:
        raise ConfigurationError(
            f'no policy {unknown[0]!r}; there are: {", ".join(policy_names())}; {FIX}'
        )
    return list(dict.fromkeys(names))


def _splits(chosen: str) -> list[str]:
    from vla_ros.evaluation.splits import SPLITS

    names = chosen.split(',')
    if unknown := [name for name in names if name not in SPLITS]:
        raise ConfigurationError(f'no split {unknown[0]!r}; there are: {", ".join(SPLITS)}')
    return list(dict.fromkeys(names))


def _config(args: argparse.Namespace) -> TrainConfig:
    from vla_ros.paths import share_dir
    from vla_ros.training.config import changed, load_config

    config = load_config(args.config or share_dir() / 'config' / 'train' / 'zoo.yaml')
    if args.steps is None:
        return config
    return changed(config, {'trainer': {'steps': args.steps}}, '--steps')


def _measure(path: Path, splits: list[str], args: argparse.Namespace) -> None:
    """Measure what was not yet, all of it by the same processes; each split is kept when done."""
    from vla_ros.cli.eval import episodes_through_ros
    from vla_ros.evaluation.report import THROUGH_ROS
    from vla_ros.evaluation.rollouts import evaluate, read_by
    from vla_ros.evaluation.splits import specs
    from vla_ros.evaluation.zoo import episodes_of_rows

    encoder = read_by(path)
    asked = f'vla-ros eval --policy {path} --seed {args.seed}'
    counts = {split: episodes_of_rows(split, args.episodes) for split in splits}
    commands = {s: f'{asked} --split {s} --episodes {count}' for s, count in counts.items()}
    missing = [split for split in splits if not _is_measured(path, split, commands[split])]
    trials = [spec for split in missing for spec in specs(split, counts[split], args.seed)]
    episodes = evaluate(path, trials, workers=args.workers) if trials else ()
    for split, some in groupby(episodes, lambda episode: episode.spec.split):
        _keep(path, split, list(some), commands[split], encoder)
    through, command = f'known{THROUGH_ROS}', f'{asked} --split known --episodes {args.ros}'
    if args.ros and not _is_measured(path, through, f'{command} --through ros'):
        trials = specs('known', args.ros, args.seed)
        done = list(episodes_through_ros(str(path), trials))
        _keep(path, through, done, f'{command} --through ros', encoder)


def _is_measured(path: Path, split: str, command: str) -> bool:
    """Return whether the report beside a policy has a split, measured by this very command."""
    from vla_ros.evaluation.report import read_report

    found = read_report(path).splits.get(split)
    return found is not None and found.command == command


def _keep(path: Path, split: str, episodes: list[Episode], command: str, encoder: str) -> None:
    """Add a split to the report beside a policy."""
    from vla_ros.evaluation.report import read_report, report_path, SplitReport

    found = SplitReport.of(episodes, command, encoder)
    report_path(path).write_text(read_report(path).with_split(split, found).to_json())
    _tell(f'{path.stem}: {split} {found.rate}')


def _command(args: argparse.Namespace) -> str:
    """Return the command line that does the same again."""
    words = ['vla-ros zoo']
    words += [f'--policies {args.policies}'] if args.policies else []
    words += [f'--config {args.config}'] if args.config else []
    words += [f'--steps {args.steps}'] if args.steps else []
    words += [f'--data {args.data}'] if args.data else []
    words += [f'--splits {args.splits}'] if args.splits != _DEFAULT_SPLITS else []
    return ' '.join([*words, f'--episodes {args.episodes} --seed {args.seed} --ros {args.ros}'])


def _tell(line: str) -> None:
    print(f'{time.strftime("%H:%M:%S")} {line}', flush=True)
