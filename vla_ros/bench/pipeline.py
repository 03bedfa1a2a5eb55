"""
The whole pipeline: what it adds to the bare calls of its functions, beside other ways to run it.

A robot in a process of its own (``nodes/bench_robot.py``, or a script) sends pictures and notes
when the chunk of each comes back; what the bare calls take is subtracted. In composed mode that
counts a way over the middleware which the pose node is spared. Policy servers have no graph: their
robot has the camera itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
import io
import json
import math
import os
from pathlib import Path
import socket
import threading
import time
from typing import Any

import numpy as np

from vla_ros import paths
from vla_ros.bench.rounds import over, Ratio, ratio
from vla_ros.bringup import environment, NodeSpec, Options, sim_graph
from vla_ros.errors import ConfigurationError
from vla_ros.supervisor import Log, Supervisor

NAMESPACE = '/vla_ros_bench'
READY_S = 90.0
#: Of the pose node's ticks.
PERIOD_MS = 20.0
LATE = 1.25

FLOOR, NAIVE, PLAIN, LEAST = 'direct calls', 'naive node', 'plain nodes', 'one node'
WEBSOCKET, GRPC = 'websocket', 'gRPC'
APART, COMPOSED = 'four processes', 'composed'
#: What the policy servers need: the extra ``bench``, and openpi-client (see setup.py).
_OF_SERVERS = ('grpc', 'msgpack', 'openpi_client', 'websockets')
_ROBOT = 'robot'
#: In command lines of processes that are not measured, but measured with.
_BESIDE = (b'vla_ros.nodes.bench_robot', b'onlooker', b'py-spy')


@dataclass(frozen=True)
class Load:
    """So many pictures of ``size`` (width, height) at ``rate_hz``."""

    frames: int = 150
    rate_hz: float = 30.0
    size: tuple[int, int] = (640, 480)

    def arguments(self) -> tuple[str, ...]:
        size = map(str, self.size)
        return ('--frames', str(self.frames), '--rate', str(self.rate_hz), '--size', *size)


@dataclass(frozen=True)
class Sample:
    """
    One subject in one round.

    Latencies from a picture's stamp to its chunk, and ``pose_ms`` to the first pose that follows
    from it, as the pose node tells; ``delivered`` is the share of pictures that got a chunk;
    ``cpu_ms`` is for a picture, of all processes but the robot. Periods are those of
    robot_action, NaN where nothing ticks; ``late`` is the share above 1.25 of what they should be.
    """

    latency_ms: float
    latency_p95_ms: float
    delivered: float
    cpu_ms: float
    period_p99_ms: float
    late: float
    pose_ms: float = math.nan

    @classmethod
    def of(cls, record: Mapping[str, Any], cpu_s: float) -> Sample:
        """Return it from what a robot wrote; raises ConfigurationError if nothing came back."""
        latencies = record['latencies_ms']
        if not latencies:
            raise ConfigurationError('no picture of those that count was answered')
        periods = np.array(record['periods_ms'] or [np.nan])
        return cls(
            latency_ms=float(np.median(latencies)),
            latency_p95_ms=float(np.percentile(latencies, 95)),
            delivered=len(latencies) / record['sent'],
            cpu_ms=cpu_s * 1e3 / record['sent'],
            period_p99_ms=float(np.percentile(periods, 99)),
            late=float(np.mean(periods > LATE * PERIOD_MS)),
            pose_ms=float(record.get('pose_ms') or math.nan),
        )


@dataclass(frozen=True)
class Subject:
    """Processes to be measured, with the robot last, and their environment."""

    specs: tuple[NodeSpec, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class Script(NodeSpec):
    """A process of ``benchmarks/``, a baseline or one who looks on."""

    @property
    def module(self) -> str:
        return self.executable


def subjects(load: Load) -> dict[str, Subject]:
    """
    Return everything that is compared, servers only where what they need is installed.

    Raises ConfigurationError without ``benchmarks/``.
    """
    robot, ours = robot_of(load), environment('sim', os.environ)
    # Baselines run as they would without this package: the middleware's defaults, this host only.
    plain = {
        **scripts(),
        **{k: v for k, v in ours.items() if k == 'ROS_AUTOMATIC_DISCOVERY_RANGE'},
    }
    nodes = tuple(
        Script(name, 'plain_nodes', namespace=NAMESPACE, arguments=(name,))
        for name in ('camera', 'command', 'inference', 'pose')
    )
    naive = Script('naive', 'naive_node', namespace=NAMESPACE)
    least = Script('one_node', 'one_node', namespace=NAMESPACE)
    direct = Script(_ROBOT, 'direct_calls', arguments=load.arguments(), respawn=False)
    serve = all(map(find_spec, _OF_SERVERS))
    scripted = {**ours, **scripts()}
    return {
        FLOOR: Subject((direct,), scripted),
        NAIVE: Subject((naive, robot), plain),
        PLAIN: Subject((*nodes, robot), plain),
        LEAST: Subject((least, robot), scripted),
        **({name: _served(name, load, scripted) for name in (WEBSOCKET, GRPC) if serve}),
        APART: Subject((*pipeline(), robot), ours),
        COMPOSED: Subject((*pipeline(composed=True), robot), ours),
    }


def _served(kind: str, load: Load, environment: Mapping[str, str]) -> Subject:
    """Return a policy server and its robot, on a port that nobody has."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = ('--port', str(free.getsockname()[1]))
    name = kind.lower()
    server = Script('server', f'{name}_server', arguments=port)
    arguments = (*load.arguments(), *port)
    robot = Script(_ROBOT, f'{name}_robot', arguments=arguments, respawn=False)
    return Subject((server, robot), environment)


def robot_of(load: Load) -> NodeSpec:
    """Return the robot that sends the pictures of a load."""
    return NodeSpec(
        _ROBOT, 'bench_robot', namespace=NAMESPACE, arguments=load.arguments(), respawn=False
    )


def scripts() -> dict[str, str]:
    """Return an environment to run scripts in; raises ConfigurationError without them."""
    folder = paths.share_dir() / 'benchmarks'
    if not folder.is_dir():
        raise ConfigurationError(f'no scripts in {folder}: run from a checkout')
    return {'PYTHONPATH': f'{folder}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}


def pipeline(composed: bool = False, markers: bool = False) -> tuple[NodeSpec, ...]:
    """Return the nodes of this package without a simulator."""
    options = Options(namespace=NAMESPACE, markers=markers, composed=composed)
    return tuple(spec for spec in sim_graph(options) if spec.name != 'sim')


class _Notes(Log):
    """Keeps what the nodes write; takes the CPU time when the robot begins and ends."""

    def __init__(self) -> None:
        super().__init__([], io.StringIO())
        self.lines: list[str] = []
        self.cpu_s: dict[str, dict[int, float]] = {}
        self.record: dict[str, Any] = {}
        self.done = threading.Event()

    def write(self, name: str, text: str, severity: str = 'INFO') -> None:
        if name == _ROBOT and text in ('begin', 'end'):
            self.cpu_s[text] = children_cpu_s()
        elif name == _ROBOT and text.startswith('{'):
            self.record = json.loads(text)
            self.done.set()
        else:
            self.lines.append(f'{name}: {text}')

    def last_words(self) -> str:
        return 'the last words:\n' + '\n'.join(self.lines[-5:])


def measure(
    subject: Subject, load: Load, on_begin: Callable[[Collection[int]], None] = lambda pids: None
) -> Sample:
    """
    Run a subject once; ``on_begin`` is told its processes when what counts begins.

    Raises TimeoutError if it gives no answer, ConfigurationError if one of its processes ended.
    """
    notes = _Notes()
    limit_s = READY_S + 2.0 * load.frames / load.rate_hz
    deadline_s = time.monotonic() + limit_s
    with Supervisor(subject.specs, subject.environment, notes) as supervisor:
        told = False
        while not notes.done.wait(timeout=0.1):
            if not told and 'begin' in notes.cpu_s:
                told = True
                on_begin(notes.cpu_s['begin'])
            try:
                supervisor.poll()
            except ConfigurationError as error:
                raise ConfigurationError(f'{error}; {notes.last_words()}') from error
            if time.monotonic() > deadline_s:
                raise TimeoutError(f'no result after {limit_s:.0f} s; {notes.last_words()}')
    begin, end = notes.cpu_s['begin'], notes.cpu_s['end']
    if not begin or set(begin) != set(end):
        raise ConfigurationError(f'a process ended while measured; {notes.last_words()}')
    return Sample.of(notes.record, sum(end.values()) - sum(begin.values()))


def children_cpu_s() -> dict[int, float]:
    """Return the CPU time, s, of each child of this process but robot and viewer, by its pid."""
    found = {}
    ticks_hz = os.sysconf('SC_CLK_TCK')
    for folder in Path('/proc').glob('[0-9]*'):
        with suppress(OSError):  # it has ended
            # The name of a program, in brackets, may hold anything; the rest are numbers.
            values = (folder / 'stat').read_text().rpartition(')')[2].split()
            is_beside = any(name in (folder / 'cmdline').read_bytes() for name in _BESIDE)
            is_over = values[0] == 'Z'
            if int(values[1]) == os.getpid() and not is_beside and not is_over:
                found[int(folder.name)] = (int(values[11]) + int(values[12])) / ticks_hz
    return found


def run_rounds(
    everything: Mapping[str, Subject],
    load: Load,
    rounds: int,
    on_turn: Callable[[int, str], None],
) -> Iterator[dict[str, Sample]]:
    """Yield the samples of each round; each begins with another subject."""
    names = list(everything)
    for i in range(rounds):
        turn = i % len(names)
        samples = {}
        for name in (*names[turn:], *names[:turn]):
            on_turn(i, name)
            samples[name] = measure(everything[name], load)
        yield {name: samples[name] for name in names}


def added(rounds: Sequence[Mapping[str, Sample]], what: str) -> list[dict[str, float]]:
    """Return by how much each subject is above the floor in ``what``, in each round."""
    return [
        {name: getattr(sample, what) - getattr(r[FLOOR], what) for name, sample in r.items()}
        for r in rounds
    ]


@dataclass(frozen=True)
class Goal:
    """What should hold, and what was measured."""

    name: str
    limit: float
    measured: Ratio
    is_upper: bool = True

    @property
    def holds(self) -> bool:
        value = self.measured.median
        return value <= self.limit if self.is_upper else value >= self.limit


def goals(rounds: Sequence[Mapping[str, Sample]]) -> list[Goal]:
    """Return what is promised of the pipeline beside the plain nodes."""
    latency, cpu = added(rounds, 'latency_ms'), added(rounds, 'cpu_ms')
    found = [
        Goal('latency added, composed / plain', 0.10, ratio(latency, COMPOSED, PLAIN)),
        Goal('latency added, four processes / plain', 0.40, ratio(latency, APART, PLAIN)),
        Goal('CPU added, composed / plain', 0.20, ratio(cpu, COMPOSED, PLAIN)),
    ]
    if WEBSOCKET in rounds[0]:
        found.append(
            Goal('latency added, composed / websocket', 0.25, ratio(latency, COMPOSED, WEBSOCKET))
        )
    for name in (APART, COMPOSED):
        delivered = over([r[name].delivered for r in rounds])
        found.append(Goal(f'delivered, {name}', 0.99, delivered, is_upper=False))
        period = over([r[name].period_p99_ms for r in rounds])
        found.append(Goal(f'p99 of the tick, ms, {name}', 25.0, period))
    return found


def table(rounds: Sequence[Mapping[str, Sample]]) -> str:
    """Return the medians over the rounds, one line a subject, and the goals."""
    lines = ['                 latency ms  p95 ms  added ms  delivered  CPU ms  tick p99 ms']
    for name in rounds[0]:
        extra = np.median([r[name] for r in added(rounds, 'latency_ms')])
        m = {f.name: np.median([getattr(r[name], f.name) for r in rounds]) for f in fields(Sample)}
        lines.append(
            f'{name:<15}  {m["latency_ms"]:>10.2f}  {m["latency_p95_ms"]:>6.1f}  {extra:>8.2f}  '
            f'{m["delivered"]:>9.3f}  {m["cpu_ms"]:>6.2f}  {m["period_p99_ms"]:>11.1f}'
        )
    return '\n'.join([*lines, *goal_lines(goals(rounds))])


def goal_lines(found: Sequence[Goal]) -> list[str]:
    """Return what was promised and measured, one line a goal."""
    lines = ['', 'goals (medians of the rounds, least and largest):']
    for goal in found:
        sign = '<=' if goal.is_upper else '>='
        mark = 'yes' if goal.holds else 'no'
        lines.append(f'{mark:<3}  {goal.name:<40} {goal.measured}  {sign} {goal.limit:g}')
    return lines
