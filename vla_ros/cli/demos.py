"""``vla-ros demos``: the scripted expert's demonstrations as a LeRobot dataset."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from vla_ros.limits import check_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--episodes', type=int, default=100, help='how many, of all tasks in turn')
    parser.add_argument('--seed', type=int, default=0, help='of scenes, tasks and words')
    parser.add_argument(
        '--split',
        choices=('train', 'validation', 'test'),
        default='train',
        help='whose sentence patterns, words and objects the commands are made of',
    )
    parser.add_argument('--image-size', type=int, default=96, help='pixels of a side')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    parser.add_argument(
        '--out',
        '--dataset',
        dest='folder',
        metavar='FOLDER',
        type=Path,
        default=Path('runs/demos'),
        help='folder of the dataset; what an interrupted call left there is kept',
    )
    parser.add_argument(
        '--replay',
        metavar='EPISODE',
        type=int,
        help='play an episode of the dataset back instead; exit code 0 if it succeeds again',
    )


def run(args: argparse.Namespace) -> int:
    return _record(args) if args.replay is None else _replay(args.folder, args.replay)


def _record(args: argparse.Namespace) -> int:
    check_least(args, episodes=1, seed=0, image_size=16, workers=1)
    from vla_ros.training.recording import record, Recording

    recording = Recording(args.seed, args.split, args.image_size)
    record(args.folder, recording, args.episodes, args.workers)
    print(f'{args.episodes} episodes in {args.folder}')
    return 0


def _replay(folder: Path, index: int) -> int:
    from vla_ros.training.lerobot import FPS, read_episode
    from vla_ros.training.recording import read_recording, Recording, replay

    episode = read_episode(folder, index)
    result = replay(episode)
    print(
        f'episode {index}: {episode.text!r} ({episode.task.key}), '
        f'{len(episode.actions) / FPS:.1f} s: {"success" if result.success else "FAILED"}, '
        f'at most {result.error_m * 1e3:.2f} mm from the recording'
    )
    if result.success:
        return 0
    there = read_recording(folder)
    here = Recording(there.seed, there.split, there.image_size_px)
    if here != there:
        print(
            f'recorded with vla_ros {there.vla_ros} and mujoco {there.mujoco}; '
            f'here are {here.vla_ros} and {here.mujoco}'
        )
    return 1
