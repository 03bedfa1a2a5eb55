"""``vla-ros eval``: how well a policy does what it is told, with numbers that can be repeated."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from vla_ros.errors import ConfigurationError
from vla_ros.limits import check_least

if TYPE_CHECKING:
    from vla_ros.evaluation.episodes import Episode
    from vla_ros.evaluation.report import Report
    from vla_ros.evaluation.splits import Spec

ALL = 'all'
READY_TIMEOUT_S = 90.0
#: Failures shown in a picture: in the folder of --out, and in the card.
_SHOWN, _SHOWN_IN_CARD = 12, 2
_ABSTENTION_COUNT = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from vla_ros.evaluation.closed_loop import LATENCY_S

    parser.add_argument('--policy', type=Path, help='policy file; the shipped one if left')
    parser.add_argument(
        '--split', nargs='+', metavar='NAME', help='known if left; "all" or names (see below)'
    )
    parser.add_argument(
        '--commands',
        type=Path,
        metavar='FILE',
        help='your own commands, as JSON lines (see below)',
    )
    parser.add_argument(
        '--episodes',
        type=int,
        default=50,
        help='of each task in "known", of each other split, and of each of your own commands',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the first scene')
    parser.add_argument(
        '--through', choices=('ros',), help='also in the running graph, and compare'
    )
    parser.add_argument(
        '--balance',
        action='store_true',
        help='also the trials of "known" without the picture, the words and the state in turn',
    )
    parser.add_argument(
        '--latency', type=float, default=LATENCY_S, help='s between an image and its action'
    )
    parser.add_argument('--workers', type=int, help='processes; one a core if left')
    parser.add_argument(
        '--out', type=Path, default=Path('out/eval'), help='folder for pictures of failures'
    )
    parser.add_argument('--json', type=Path, help='also write the rates there')
    parser.add_argument(
        '--card', type=Path, help='write the model card there, and the rates beside the policy'
    )
    parser.formatter_class = _Formatter
    parser.epilog = _epilog()


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


def _epilog() -> str:
    from vla_ros.evaluation.command_file import EXAMPLE
    from vla_ros.evaluation.splits import SPLITS

    splits = '\n'.join(f'  {name:<10} {what}' for name, what in SPLITS.items())
    return f'splits:\n{splits}\n\na line of your own commands:\n  {EXAMPLE}'


def run(args: argparse.Namespace) -> int:
    from vla_ros.evaluation.balance import check_gradients
    from vla_ros.evaluation.report import gap_text, Report
    from vla_ros.evaluation.rollouts import evaluate, read_by
    from vla_ros.paths import shipped_policy_path
    from vla_ros.pipeline.manifest import read_manifest

    policy = args.policy or shipped_policy_path()
    specs = _specs(args)
    manifest = read_manifest(policy)
    if args.balance:
        check_gradients(manifest)
    encoder = read_by(policy)
    report = Report(manifest.name, manifest.sha256)
    _prepare(args)
    episodes = _counted(evaluate(policy, specs, args.latency, args.workers), len(specs))
    direct: dict[str, list[Episode]] = {}
    for split, some in groupby(episodes, lambda episode: episode.spec.split):
        direct[split] = list(some)
        report = _tell(report, split, direct[split], _command(args), encoder)
        _draw_failures(args, split, direct[split])
    if (gap := report.phrasing_gap()) is not None:
        print(f'by phrasing: {gap_text(gap)}\n')
    if args.balance:
        report = _balance(args, policy, specs, direct, report)
    if args.through:
        report = _through_ros(args, policy, specs, direct, report, encoder)
    if args.json:
        args.json.write_text(report.to_json())
    if args.card:
        _write_card(args, policy, report)
    return 0


def _specs(args: argparse.Namespace) -> list[Spec]:
    from vla_ros.evaluation.command_file import read_commands
    from vla_ros.evaluation.splits import own_specs, specs, SPLITS

    names = args.split or ([] if args.commands else ['known'])
    if unknown := [name for name in names if name not in (*SPLITS, ALL)]:
        raise ConfigurationError(
            f'no split {unknown[0]!r}; there are: {", ".join(SPLITS)}, or {ALL}'
        )
    check_least(args, latency=0, workers=1)
    if args.episodes < 1 or args.seed < 0:
        raise ConfigurationError('--episodes must be at least 1 and --seed at least 0')
    if args.balance and not {'known', ALL} & set(names):
        raise ConfigurationError('--balance is of the split known: name it as well')
    names = list(SPLITS) if ALL in names else list(dict.fromkeys(names))
    if args.through and 'disturbed' in names:
        raise ConfigurationError('the split disturbed cannot go through ros: name others')
    chosen = [spec for name in names for spec in specs(name, args.episodes, args.seed)]
    if args.commands:
        chosen += own_specs(read_commands(args.commands), args.episodes, args.seed)
    return chosen


def _command(args: argparse.Namespace) -> str:
    """Return the command line that measures the same again."""
    from vla_ros.evaluation.closed_loop import LATENCY_S

    words = ['vla-ros eval']
    words += [f'--policy {args.policy}'] if args.policy else []
    words += [f'--split {" ".join(args.split)}'] if args.split else []
    words += [f'--commands {args.commands}'] if args.commands else []
    words += [f'--episodes {args.episodes} --seed {args.seed}']
    words += [f'--latency {args.latency}'] if args.latency != LATENCY_S else []
    words += ['--balance'] if args.balance else []
    words += [f'--through {args.through}'] if args.through else []
    return ' '.join(words)


def _prepare(args: argparse.Namespace) -> None:
    """Find out now, not after hours, whether the results can be written."""
    from vla_ros.evaluation.card import pictures_folder

    folders = [args.out, *(path.parent for path in (args.json, args.card) if path)]
    try:
        for folder in [*folders, *([pictures_folder(args.card)] if args.card else [])]:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f'cannot write to {folder}: {error.strerror}') from error


def _counted(episodes: Iterable[Episode], total: int) -> Iterator[Episode]:
    """Yield the episodes, and tell a waiting person how many are done."""
    for number, episode in enumerate(episodes, start=1):
        if sys.stderr.isatty():
            sys.stderr.write(f'\r{number}/{total} episodes\r')
        yield episode


def _tell(
    report: Report, name: str, episodes: list[Episode], command: str, encoder: str
) -> Report:
    """Print what came out of a split and what failed; return the report with it."""
    from vla_ros.evaluation.report import SplitReport, table

    for episode in episodes:
        if not episode.success:
            print(episode)
    split = SplitReport.of(episodes, command, encoder)
    print(table(name, split), end='\n\n', flush=True)
    return report.with_split(name, split)


def _draw_failures(args: argparse.Namespace, split: str, episodes: Iterable[Episode]) -> None:
    from vla_ros.evaluation.card import pictures_folder
    from vla_ros.evaluation.pictures import contact_sheet, write_picture

    films = [episode.film for episode in episodes if episode.film is not None]
    places = [(args.out, _SHOWN, 176)]
    if args.card:
        places.append((pictures_folder(args.card), _SHOWN_IN_CARD, 144))
    for folder, count, tile_px in places:
        path = folder / f'{split}.jpg'
        path.unlink(missing_ok=True)
        if films:
            write_picture(path, contact_sheet(films[:count], tile_px=tile_px))


def _balance(
    args: argparse.Namespace,
    policy: Path,
    specs: list[Spec],
    direct: dict[str, list[Episode]],
    report: Report,
) -> Report:
    """Measure what each modality is worth; return the report with it."""
    from vla_ros.evaluation.balance import measure_balance
    from vla_ros.evaluation.report import balance_table, successes

    known = [spec for spec in specs if spec.split == 'known']
    whole = successes(direct['known'])
    found = measure_balance(policy, known, whole, args.latency, args.workers)
    print(balance_table(found), end='\n\n', flush=True)
    return replace(report, balance=found)


def _through_ros(
    args: argparse.Namespace,
    policy: Path,
    specs: list[Spec],
    direct: dict[str, list[Episode]],
    report: Report,
    encoder: str,
) -> Report:
    """Do the same trials in the running graph; return the report with them."""
    from vla_ros.evaluation.report import success_rate, THROUGH_ROS

    run = episodes_through_ros(str(policy) if args.policy else '', specs)
    for split, some in groupby(_counted(run, len(specs)), lambda episode: episode.spec.split):
        name = split + THROUGH_ROS
        report = _tell(report, name, list(some), _command(args), encoder)
        found, rate = report.splits[name], success_rate(direct[split])
        measures = {**found.measures, 'direct': rate}
        report = report.with_split(name, replace(found, measures=measures))
        points = 100 * (found.success - rate.success)
        print(f'{split}: {points:+.1f} points from the direct run\n', flush=True)
    return report


def episodes_through_ros(policy_path: str, specs: Iterable[Spec]) -> Iterator[Episode]:
    """Do trials in a running graph of their own; '' is the shipped policy."""
    from vla_ros.bringup import Options
    from vla_ros.nodes.client import client
    from vla_ros.nodes.trials import run_trial
    from vla_ros.supervisor import running

    options = Options(policy_path=policy_path, markers=False, log_level='error')
    with running('sim', options) as graph, client(on_spin=graph.poll) as user:
        user.wait_ready(READY_TIMEOUT_S)
        for spec in specs:
            yield run_trial(user, spec)
        user.say('stop')


def _speed(policy: Path) -> dict[str, float]:
    """Return how fast a file is with one thread, beside its eager model; nothing without one."""
    from vla_ros.bench.policy import loaders, measure

    file = 'torchscript'
    try:
        _, looks, found = loaders(policy, (file,), folder=policy.parent)
    except ConfigurationError as error:  # exported for another runtime, or trained elsewhere
        print(f'speed not measured: {error}')
        return {}
    timings = measure(found, looks, threads=(1,), batches=(1,), rounds=5, calls=40)
    (timing,) = [timing for timing in timings if timing.backend == file]
    return {
        'median_ms': round(timing.median_ms, 2),
        'p95_ms': round(timing.p95_ms, 2),
        'of_eager': round(timing.ratio.median, 3),
    }


def _write_card(args: argparse.Namespace, policy: Path, report: Report) -> None:
    """Add the splits to what was measured of this very policy before, and write the card."""
    from vla_ros.evaluation.abstention import draw_roc, refusal_scores, refused_rates
    from vla_ros.evaluation.card import ABSTENTION_PICTURE, model_card, pictures_folder
    from vla_ros.evaluation.report import read_report, report_path, THROUGH_ROS
    from vla_ros.evaluation.rollouts import Roller
    from vla_ros.models.export import write_metrics

    splits = dict(report.splits)
    if args.through:  # the direct run was only to compare with, and is in there
        splits = {name: split for name, split in splits.items() if name.endswith(THROUGH_ROS)}
    balance = report.balance
    if report_path(policy).is_file() and (old := read_report(policy)).sha256 == report.sha256:
        splits, balance = {**old.splits, **splits}, balance or old.balance
    report = replace(report, splits=splits, balance=balance)
    scores = refusal_scores(Roller.load(policy), _ABSTENTION_COUNT, args.seed)
    draw_roc(scores, pictures_folder(args.card) / ABSTENTION_PICTURE)
    report = replace(report, refusals=refused_rates(scores), speed=_speed(policy))
    report_path(policy).write_text(report.to_json())
    write_metrics(policy, report.metrics())
    args.card.write_text(model_card(policy, args.card))
    print(f'card: {args.card}')
