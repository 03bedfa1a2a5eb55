"""``vla-ros bench``: how fast a policy is, for one robot or several, and what the graph adds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict
import json
import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory
import time
from typing import Any, TYPE_CHECKING

from vla_ros.bench.rounds import host, noise, probe_s, verdict
from vla_ros.bringup import environment
from vla_ros.domain import only_graph
from vla_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from vla_ros.bench.pipeline import Goal, Load, Sample, Subject
    from vla_ros.bringup import Options

READY_S = 90.0
#: For a command to become a chunk, and between two commands.
ANSWER_S, PAUSE_S = 20.0, 0.5
#: Between two looks at a graph that soaks, and after how many it gets a new scene and command.
LOOK_PERIOD_S, TURN = 5.0, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(
        dest='kind', required=True, metavar='policy|robots|pipeline|first|profile|viewers|soak'
    )
    policy = kinds.add_parser(
        'policy',
        help='a policy alone, by backend, threads and batch size',
        description='Time a policy alone, by backend, threads and batch size.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    policy.add_argument('--policy', type=Path, help='TorchScript file; the shipped one if left')
    policy.add_argument('--config', type=Path, help='of its training; the default one if left')
    policy.add_argument(
        '--backends',
        metavar='NAME,NAME',
        help='all that are installed if left; eager is always in',
    )
    policy.add_argument('--threads', type=_counts, default=(1, 2), help='of the model')
    policy.add_argument('--batches', type=_counts, default=(1, 2, 4, 8), help='sizes')
    policy.add_argument('--calls', type=_count, default=20, help='of each, in a round')
    robots = kinds.add_parser(
        'robots',
        help='several robots on one policy, together and one by one',
        description='Time one pass for several robots beside a call for each.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    robots.add_argument('--policy', type=Path, help='policy file; the shipped one if left')
    robots.add_argument('--threads', type=_count, default=1, help='of the model')
    robots.add_argument('--counts', type=_counts, default=(1, 2, 4, 8, 16), help='of robots')
    robots.add_argument('--calls', type=_count, default=20, help='of each, in a round')
    robots.add_argument('--picture', type=Path, metavar='FILE', help='draw the curve there')
    pipeline = kinds.add_parser(
        'pipeline',
        help='what the graph adds to the bare calls, beside nodes written plainly',
        description='Time the graph in both modes, nodes written plainly, and the bare calls.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    viewers = kinds.add_parser(
        'viewers',
        help='what it costs the graph that somebody looks on, in RViz or in browsers',
        description='Time the graph with nobody looking, as RViz does, and with five browsers.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    profile = kinds.add_parser(
        'profile',
        help='where the processor time of the graph goes, beside nodes written plainly',
        description='Look at what every thread does, and tell the processor time by its purpose.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for sub, rate_hz in ((pipeline, 30), (profile, 30), (viewers, 10)):
        sub.add_argument('--frames', type=_count, default=150, help='of each, in a round')
        sub.add_argument('--rate', type=_count, default=rate_hz, help='of the camera, Hz')
        sub.add_argument(
            '--size',
            type=_count,
            nargs=2,
            default=(640, 480),
            metavar=('WIDTH', 'HEIGHT'),
            help='of a frame, px',
        )
    first = kinds.add_parser(
        'first',
        help='the first command after a start beside the tenth',
        description='Start the simulated graph in each round, and time ten commands.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    first.add_argument('--composed', action='store_true', help='one process for the pipeline')
    soak = kinds.add_parser(
        'soak',
        help='what the simulated graph takes as time goes on',
        description='Give commands for a while, and watch memory, descriptors and lost frames.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    soak.add_argument('--minutes', type=_count, default=30, help='how long')
    soak.add_argument('--composed', action='store_true', help='one process for the pipeline')
    for sub in (policy, robots, pipeline, first, profile, viewers):
        sub.add_argument('--rounds', type=_count, default=3, help='in which everything runs once')
    for sub in (policy, robots, pipeline, first, profile, viewers, soak):
        sub.add_argument('--json', type=Path, metavar='FILE', help='write everything there too')


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f'got {text!r}, expected a number from 1')
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(','))


def run(args: argparse.Namespace) -> int:
    kinds = {
        'policy': _policy,
        'robots': _robots,
        'pipeline': _pipeline,
        'first': _first,
        'profile': _profile,
        'viewers': _viewers,
        'soak': _soak,
    }
    return kinds[args.kind](args)


def _policy(args: argparse.Namespace) -> int:
    os.environ.update(environment('robot', os.environ))  # before torch reads it
    from vla_ros.bench.policy import loaders, measure, table
    from vla_ros.paths import shipped_policy_path

    path = args.policy or shipped_policy_path()
    probes: list[float] = []
    with TemporaryDirectory() as folder:
        manifest, looks, ways = loaders(path, _ways(args.backends), Path(folder), args.config)
        timings = list(
            measure(
                ways,
                looks,
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


def _robots(args: argparse.Namespace) -> int:
    os.environ.update(environment('robot', os.environ))  # before torch reads it
    from vla_ros.bench.robots import draw, measure, table
    from vla_ros.paths import shipped_policy_path
    from vla_ros.pipeline.policy import load_policy

    path = args.policy or shipped_policy_path()
    policy = load_policy(path, args.threads, max(args.counts), 'auto')
    probes: list[float] = []
    growths = measure(
        policy, args.counts, args.rounds, args.calls, on_round=lambda: probes.append(probe_s())
    )
    print(table(growths))
    if args.picture:
        draw(growths, args.picture)
    manifest = policy.manifest
    result = {'policy': manifest.name, 'backend': manifest.backend, 'device': policy.device}
    return _end(args.json, {**result, 'growth': [asdict(g) for g in growths]}, probes)


def _ways(text: str | None) -> tuple[str, ...]:
    """Return the backends asked for; raises ConfigurationError for one that there is not."""
    from vla_ros.bench.policy import installed, WAYS

    if text is None:
        return installed()
    ways = tuple(text.split(','))
    valid = dict.fromkeys((*WAYS, *installed()))
    if unknown := [way for way in ways if way not in valid]:
        raise ConfigurationError(f'no backend {unknown[0]!r}; there are: {", ".join(valid)}')
    return ways


def _pipeline(args: argparse.Namespace) -> int:
    from vla_ros.bench.pipeline import goals, GRPC, subjects, table, WEBSOCKET

    rounds, probes = _rounds(args, subjects)
    print(table(rounds))
    if missing := [name for name in (WEBSOCKET, GRPC) if name not in rounds[0]]:
        print(f'not measured: {", ".join(missing)}; "make bench" installs what they need')
    return _end(args.json, _kept(args, rounds, goals(rounds)), probes)


def _profile(args: argparse.Namespace) -> int:
    from vla_ros.bench.pipeline import APART, COMPOSED, NAMESPACE, PLAIN, subjects
    from vla_ros.bench.profile import medians, profile, table

    load, probes = _load(args), []
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (PLAIN, APART, COMPOSED)}
    with only_graph(NAMESPACE):
        for i in range(args.rounds):
            for name in found:
                probes.append(probe_s())
                print(f'round {i + 1} of {args.rounds}: {name}', flush=True)
                with TemporaryDirectory() as folder:
                    found[name].append(profile(subjects(load)[name], load, Path(folder)))
    print(table({name: medians(rounds) for name, rounds in found.items()}))
    return _end(args.json, {'load': asdict(load), 'rounds': found}, probes)


def _viewers(args: argparse.Namespace) -> int:
    from vla_ros.bench.viewers import goals, subjects, table

    rounds, probes = _rounds(args, subjects)
    print(table(rounds, args.rate))
    return _end(args.json, _kept(args, rounds, goals(rounds, args.rate)), probes)


def _rounds(
    args: argparse.Namespace, subjects: Callable[[Load], Mapping[str, Subject]]
) -> tuple[list[dict[str, Sample]], list[float]]:
    """Measure all subjects in each round; return that, and how long a probe took before each."""
    from vla_ros.bench.pipeline import NAMESPACE, run_rounds

    load, probes = _load(args), []

    def on_turn(i: int, name: str) -> None:
        probes.append(probe_s())
        print(f'round {i + 1} of {args.rounds}: {name}', flush=True)

    with only_graph(NAMESPACE):
        return list(run_rounds(subjects(load), load, args.rounds, on_turn)), probes


def _load(args: argparse.Namespace) -> Load:
    from vla_ros.bench.pipeline import Load

    return Load(args.frames, args.rate, tuple(args.size))


def _kept(
    args: argparse.Namespace, rounds: list[dict[str, Sample]], goals: list[Goal]
) -> dict[str, Any]:
    return {
        'load': asdict(_load(args)),
        'rounds': [{name: asdict(sample) for name, sample in r.items()} for r in rounds],
        'goals': [{**asdict(goal), 'holds': goal.holds} for goal in goals],
    }


def _first(args: argparse.Namespace) -> int:
    from vla_ros.bench.first import goals, table
    from vla_ros.bringup import Options

    options = Options(composed=args.composed, markers=False, log_level='error')
    rounds, probes = [], []
    for i in range(args.rounds):
        probes.append(probe_s())
        print(f'round {i + 1} of {args.rounds}', flush=True)
        rounds.append(_first_commands(options))
    probes.append(probe_s())
    print(table(rounds))
    kept = [{**asdict(goal), 'holds': goal.holds} for goal in goals(rounds)]
    return _end(args.json, {'rounds_ms': rounds, 'goals': kept}, probes)


def _first_commands(options: Options) -> list[float]:
    """Return what each command costs after a start, ms."""
    from vla_ros.bench.first import texts
    from vla_ros.nodes.client import client
    from vla_ros.nodes.stopwatch import Stopwatch
    from vla_ros.supervisor import running

    costs_ms = []
    with running('sim', options) as graph, client(on_spin=graph.poll) as user:
        stopwatch = Stopwatch(user)
        user.wait_ready(READY_S)
        user.wait(lambda: user.sim_state is not None, READY_S)
        assert user.sim_state is not None  # the simulator tells it ten times a second
        for text in texts(list(user.sim_state['objects'])):
            costs_ms.append(stopwatch.cost_ms(text, ANSWER_S))
            user.say('stop')
            user.wait(lambda: False, PAUSE_S)
    return costs_ms


def _soak(args: argparse.Namespace) -> int:
    from vla_ros.bench.soak import table, trends, Usage, usage
    from vla_ros.bringup import Options
    from vla_ros.nodes.client import client
    from vla_ros.nodes.timing import rows, Timing
    from vla_ros.supervisor import running

    options = Options(composed=args.composed, log_level='error')
    samples: list[Usage] = []
    probes = [probe_s()]
    with running('sim', options) as graph, client(on_spin=graph.poll) as user:
        user.wait_ready(READY_S)
        timing = Timing(user)
        started_s = time.monotonic()
        while (at_s := time.monotonic() - started_s) < args.minutes * 60:
            if len(samples) % TURN == 0:
                scene = user.new_scene()
                user.say(f'point at the {sorted(scene["objects"])[0]}')
            user.wait(lambda: False, LOOK_PERIOD_S)
            samples.append(usage(at_s))
        user.say('stop')
        probes.append(probe_s())
    print(table(samples))
    for stage, numbers in rows(timing.values).items():
        print(f'{stage:<14} {numbers}')
    result = {'samples': [asdict(s) for s in samples], 'health': timing.values}
    _end(args.json, result, probes)
    return 1 if any(trend.grows for trend in trends(samples)) else 0


def _end(path: Path | None, result: dict[str, Any], probes: list[float]) -> int:
    """Tell whether the figures can be used, and keep them."""
    warning = verdict(noise(probes))
    if warning:
        print(warning)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {'host': host(), 'noise': noise(probes), 'warning': warning, **result}
        text = json.dumps(_finite(document), indent=1, allow_nan=False)
        path.write_text(text + '\n', encoding='utf-8')
    return 0


def _finite(value: Any) -> Any:
    """Return ``value`` with None, which JSON has, for what it has not: NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
