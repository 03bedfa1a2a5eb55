"""``vla-ros look``: pictures of what a policy looks at, and whether that is true of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from vla_ros.errors import ConfigurationError

if TYPE_CHECKING:
    from vla_ros.evaluation.looking import Onlooker
    from vla_ros.interfaces import Observation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'command', nargs='?', help='what to tell the policy; one of its own if left'
    )
    parser.add_argument('--policy', type=Path, help='policy file; the shipped one if left')
    parser.add_argument('--seed', type=int, default=0, help='of the scene, and of the test')
    parser.add_argument(
        '--out', type=Path, default=Path('out/look'), help='folder of the pictures'
    )
    parser.add_argument(
        '--test',
        type=int,
        default=0,
        metavar='FRAMES',
        help='instead hide what the policy looks at, and as much elsewhere, in so many scenes of '
        'each task, and tell how far its action moves',
    )


def run(args: argparse.Namespace) -> int:
    if args.seed < 0 or args.test < 0:
        raise ConfigurationError('--seed and --test must be at least 0')
    from vla_ros.paths import shipped_policy_path

    policy = args.policy or shipped_policy_path()
    return _test(policy, args) if args.test else _draw(policy, args)


def _test(policy: Path, args: argparse.Namespace) -> int:
    from vla_ros.evaluation.looking import judge
    from vla_ros.evaluation.splits import specs

    for verdict in judge(policy, specs('known', args.test, args.seed)):
        print('\n'.join(verdict.lines()))
    return 0


def _draw(policy: Path, args: argparse.Namespace) -> int:
    """Draw each source for all words, and the attention of the word that has most."""
    from vla_ros.evaluation.looking import Onlooker, SOURCES
    from vla_ros.evaluation.splits import build, specs, Trial
    from vla_ros.pipeline.command import CommandError, normalise

    trial = build(specs('known', 1, args.seed)[0])
    onlooker = Onlooker(policy)
    try:
        if args.command is not None:
            trial = Trial(trial.scene, normalise(args.command), None)
        observation = onlooker.observe(trial)
    except CommandError as error:
        raise ConfigurationError(str(error)) from error
    args.out.mkdir(parents=True, exist_ok=True)
    print(f'command: {trial.text}')
    for source, word in (*((source, 'all') for source in SOURCES), ('attention', 'peak')):
        _draw_one(onlooker, observation, source, word, args.out)
    return 0


def _draw_one(
    onlooker: Onlooker, observation: Observation, source: str, word: str, folder: Path
) -> None:
    from vla_ros.evaluation.pictures import write_picture
    from vla_ros.pipeline.heat_map import picture
    from vla_ros.pipeline.telling import look_lines

    look = onlooker.look(observation, source, word)
    path = folder / f'{source}_{word}.png'
    write_picture(path, picture(observation.images[0], look, source))
    print(f'{path}: {"; ".join(look_lines(look, source))}')
