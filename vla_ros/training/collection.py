"""
Demonstrations on disk: shards of frames, made by several processes, seeded and resumable.

A shard is one ``.npy`` file of ``frame_dtype`` records. It appears under its name only when it is
complete, so a killed run goes on with the shards that are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import dataclass
import multiprocessing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import torch
from tqdm import tqdm

from vla_ros.errors import ConfigurationError
from vla_ros.sim.environment import TabletopEnv
from vla_ros.training.demonstrations import (
    Actor,
    DemonstrationConfig,
    episode,
    ExpertActor,
    frame_dtype,
)

#: Makes the actor of one shard; picklable, since each shard is made in a process of its own.
ActorFactory = Callable[[DemonstrationConfig, np.random.Generator], Actor]


#: Ends the seeds of all shards, as no other seed does: neither a simulation nor a trial nor a
#: calibration has their scenes.
_OF_SHARDS = 3


@dataclass(frozen=True)
class _Shard:
    path: Path
    seed: int
    episodes: int
    config: DemonstrationConfig
    make_actor: ActorFactory


def collect(
    folder: Path,
    config: DemonstrationConfig,
    episodes: int,
    seed: int,
    workers: int,
    make_actor: ActorFactory = ExpertActor,
    episodes_per_shard: int = 10,
) -> list[Path]:
    """
    Make the shards of ``episodes`` episodes in ``folder`` that are not there yet; return them all.

    The frames depend on ``seed`` and the config alone, not on ``workers``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = -(-episodes // episodes_per_shard)
    shards = [
        _Shard(
            folder / f'seed{seed}-{i:04d}.npy',
            seed * 1_000_003 + i,
            min(episodes_per_shard, episodes - i * episodes_per_shard),
            config,
            make_actor,
        )
        for i in range(count)
    ]
    missing = [shard for shard in shards if not shard.path.exists()]
    context = multiprocessing.get_context('spawn')  # fork does not go with threads of torch
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        jobs = [pool.submit(_make, shard) for shard in missing]
        for job in tqdm(as_completed(jobs), total=len(jobs), desc=folder.name, unit='shard'):
            job.result()
    return [shard.path for shard in shards]


def random_of(shard_seed: int) -> np.random.Generator:
    """Return what all of a shard is drawn from."""
    return np.random.default_rng((shard_seed, 0, _OF_SHARDS))


def _make(shard: _Shard) -> None:
    torch.set_num_threads(1)
    rng = random_of(shard.seed)
    sizes = shard.config.render_sizes
    env = TabletopEnv(sizes[shard.seed % len(sizes)])
    actor = shard.make_actor(shard.config, rng)
    frames = [
        frame for _ in range(shard.episodes) for frame in episode(env, actor, shard.config, rng)
    ]
    partial = shard.path.with_suffix('.partial')
    with partial.open('wb') as file:
        np.save(file, np.array(frames, dtype=frame_dtype(shard.config)))
    partial.replace(shard.path)


def load_frames(paths: list[Path], config: DemonstrationConfig) -> list[NDArray]:
    """Return the shards, mapped into memory; raises ConfigurationError if one does not fit."""
    shards = [np.load(path, mmap_mode='r') for path in paths]
    for path, shard in zip(paths, shards, strict=True):
        if shard.dtype != frame_dtype(config):
            raise ConfigurationError(
                f'{path} was made with another configuration: remove its folder to make it anew'
            )
    return shards
