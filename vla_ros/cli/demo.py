"""
``vla-ros demo``: the main job from start to end, judged and filmed.

Starts the simulated robot and the pipeline as processes, says one command of each kind as a user
would, and lets the simulator's ground truth judge what the robot did.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

import numpy as np

from vla_ros.bringup import Options
from vla_ros.cli.viz import live_page
from vla_ros.errors import ConfigurationError
from vla_ros.supervisor import running, Supervisor

if TYPE_CHECKING:
    from vla_ros.nodes.client import Client

#: A goal that holds for so long counts as reached, not as passed through.
HOLD_S = 0.5
READY_TIMEOUT_S = 90.0
#: After a reset, for the first frames of the new scene to pass through the graph.
SETTLE_S = 1.0
FILM_RATE_HZ = 10

_WORDS = {
    'point': 'point at the {object}',
    'pick': 'pick up the {object}',
    'push': 'push the {object} into the {zone} zone',
    'put': 'put the {object} in the {zone} zone',
}


@dataclass(frozen=True)
class Request:
    """One command and the ground truth's name of its goal (``Task.key``)."""

    kind: str
    object: str
    zone: str | None = None

    @property
    def text(self) -> str:
        return _WORDS[self.kind].format(object=self.object, zone=self.zone)

    @property
    def key(self) -> str:
        return f'{self.kind}|{self.object}|{self.zone or ""}'


@dataclass(frozen=True)
class Outcome:
    """What became of one command; seconds until its goal held, latencies image to pose."""

    command: str
    task: str
    obeyed: bool
    seconds: float
    path_length_m: float
    latency_p50_ms: float
    latency_p95_ms: float

    def __str__(self) -> str:
        word = 'obeyed    ' if self.obeyed else 'NOT OBEYED'
        return (
            f'{self.command!r:<46} {word} {self.seconds:5.1f} s   path {self.path_length_m:.2f} m'
            f'   latency p50 {self.latency_p50_ms:.0f} ms, p95 {self.latency_p95_ms:.0f} ms'
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--seed', type=int, default=0, help='seed of the scene and the commands')
    parser.add_argument('--out', type=Path, default=Path('out/demo'), help='folder for pictures')
    parser.add_argument('--policy-path', default='', help='another policy than the shipped one')
    parser.add_argument('--animation', type=Path, help='also write the film as a GIF there')
    parser.add_argument('--web', action='store_true', help='also serve the live page: vla-ros viz')
    parser.add_argument('--verbose', action='store_true', help='show what the nodes log')


def run(args: argparse.Namespace) -> int:
    _prepare(args.out)
    options = Options(
        seed=args.seed,
        policy_path=args.policy_path,
        log_level='info' if args.verbose else 'error',
    )
    started = time.monotonic()
    print('starting the simulated robot and the nodes', flush=True)
    with running('sim', options) as graph, live_page(args.web):
        outcomes, takes, timing = _give_commands(graph, args.seed, started)
    _write(args, outcomes, takes, timing)
    for stage, numbers in timing.items():
        print(f'  {stage:<14} {numbers}')
    obeyed = sum(outcome.obeyed for outcome in outcomes)
    print(f'pictures: {args.out}/contact_sheet.png, {args.out}/demo.mp4')
    print(f'demo: {obeyed}/{len(outcomes)} commands obeyed', flush=True)
    return 0 if obeyed == len(outcomes) else 1


def draw_request(kind: str, scene: Mapping[str, Any], rng: np.random.Generator) -> Request:
    """Return a command of that kind that can be obeyed in a scene (as told on sim/state)."""
    name = str(rng.choice(sorted(scene['objects'])))
    zone = str(rng.choice(sorted(scene['zones']))) if kind in ('push', 'put') else None
    return Request(kind, name, zone)


def _give_commands(
    graph: Supervisor, seed: int, started: float
) -> tuple[list[Outcome], list, dict[str, str]]:
    """Return what became of each command, its film, and how long each stage took."""
    from vla_ros.nodes.client import client
    from vla_ros.nodes.recording import Film
    from vla_ros.nodes.timing import rows, Timing

    with client(on_spin=graph.poll) as user:
        user.wait_ready(READY_TIMEOUT_S)
        user.wait(lambda: user.sim_state is not None, READY_TIMEOUT_S)
        assert user.sim_state is not None  # the simulator tells it ten times a second
        film, timing = Film(user), Timing(user)
        print(f'ready after {time.monotonic() - started:.1f} s', flush=True)
        outcomes, takes = [], []
        for number, kind in enumerate(_WORDS):
            if number:
                user.new_scene()
                user.wait(lambda: False, SETTLE_S)
            request = draw_request(kind, user.sim_state, np.random.default_rng([seed, number]))
            film.cut()
            outcomes.append(_give(user, request))
            takes.append(film.cut())
            print(outcomes[-1], flush=True)
        user.say('stop')
        return outcomes, takes, rows(timing.values)


def _give(user: Client, request: Request) -> Outcome:
    """Say one command and wait until its goal holds, or its time is over."""
    from vla_ros.sim.tasks import TIME_LIMIT_S

    said = time.monotonic()
    reached: float | None = None

    def holds() -> bool:
        nonlocal reached
        assert user.sim_state is not None
        if not user.sim_state['success'].get(request.key, False):
            reached = None
        elif reached is None:
            reached = time.monotonic()
        return reached is not None and time.monotonic() - reached >= HOLD_S

    user.publish(request.text)
    obeyed = user.wait(holds, TIME_LIMIT_S[request.kind])
    values = user.status.values if user.status else {}
    return Outcome(
        command=request.text,
        task=request.key,
        obeyed=obeyed,
        seconds=(reached if obeyed and reached else time.monotonic()) - said,
        path_length_m=float(values.get('path_length_m') or 'nan'),
        latency_p50_ms=float(values.get('latency_p50_ms') or 'nan'),
        latency_p95_ms=float(values.get('latency_p95_ms') or 'nan'),
    )


def _prepare(folder: Path) -> None:
    """Find out now, not after the film, whether the pictures can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / '.probe'
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f'cannot write to {folder}: {error.strerror}; choose another folder with --out'
        ) from error


def _write(
    args: argparse.Namespace, outcomes: list[Outcome], takes: list, timing: Mapping[str, str]
) -> None:
    from vla_ros.evaluation.pictures import (
        contact_sheet,
        film_frames,
        Scene,
        write_animation,
        write_film,
        write_picture,
    )

    scenes = [
        Scene(
            outcome.command,
            f'obeyed in {outcome.seconds:.1f} s' if outcome.obeyed else 'not obeyed',
            outcome.obeyed,
            take.camera,
            take.attention,
        )
        for outcome, take in zip(outcomes, takes, strict=True)
    ]
    write_picture(args.out / 'contact_sheet.png', contact_sheet(scenes))
    frames = [frame for scene in scenes for frame in film_frames(scene)]
    if frames:
        write_film(args.out / 'demo.mp4', frames, FILM_RATE_HZ)
    if frames and args.animation:
        small = [f for scene in scenes for f in film_frames(scene, tile_px=208)[::2]]
        write_animation(args.animation, small, FILM_RATE_HZ)
    report = {
        'seed': args.seed,
        'obeyed': sum(outcome.obeyed for outcome in outcomes),
        'total': len(outcomes),
        'commands': [asdict(outcome) for outcome in outcomes],
        'timing': dict(timing),
    }
    (args.out / 'demo.json').write_text(json.dumps(report, indent=2) + '\n')
