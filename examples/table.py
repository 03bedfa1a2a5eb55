"""The data of all examples: pictures of the tabletop, what they show, and words for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn, Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.sim.scene import OBJECT_NAMES
from vla_ros.sim.tasks import KINDS, Task
from vla_ros.training.augment import augment
from vla_ros.training.batches import mirror
from vla_ros.training.begun import config_path, differences
from vla_ros.training.collection import collect, load_frames
from vla_ros.training.config import load_config, save_config
from vla_ros.training.demonstrations import ZONE_NAMES


@dataclass(frozen=True)
class TableConfig:
    """So many ``scenes`` of ``episode_s`` each, of which ``frames_per_scene`` are kept."""

    scenes: int
    episode_s: float
    frames_per_scene: int


@dataclass(frozen=True, eq=False)
class Table:
    """Frames (n,), records of ``demonstrations.frame_dtype``, and the number of their scene."""

    frames: NDArray
    scene: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)

    def split(self, seed: int) -> tuple[Table, Table]:
        """Return a table to train on and one of other scenes, a fifth of them, drawn at random."""
        scenes = np.random.default_rng(seed).permutation(self.scene.max() + 1)
        held_out = np.isin(self.scene, scenes[: len(scenes) // 5])
        return self.at(np.flatnonzero(~held_out)), self.at(np.flatnonzero(held_out))

    def at(self, rows: NDArray[np.int64]) -> Table:
        return Table(self.frames[rows], self.scene[rows])

    def mirrored(self, rng: np.random.Generator) -> Table:
        """Return half of the frames as they are, half mirrored: words name no side."""
        frames = self.frames.copy()
        chosen = rng.random(len(frames)) < 0.5
        frames[chosen] = mirror(frames[chosen])
        return Table(frames, self.scene)

    def one_a_scene(self) -> Table:
        """Return the last frame of each scene: frames of one scene are too much alike to count."""
        return self.at(np.flatnonzero(np.diff(self.scene, append=-1)))

    def pictures(self, size_px: int = 96) -> Tensor:
        """Return (n, 3, size, size) in 0..1; ``size_px`` divides the size of the frames."""
        image = torch.from_numpy(self.frames['image'].transpose(0, 3, 1, 2).copy()).float()
        return nn.functional.avg_pool2d(image, image.shape[-1] // size_px) / 255.0

    def things(self) -> NDArray[np.object_]:
        """Return (n,) sets of the names of the objects and zones that are there."""
        there = np.isfinite(self.frames['object_px'][..., 0])
        zones = np.isfinite(self.frames['zone_px'][..., 0])
        names = np.array([*OBJECT_NAMES, *(f'{zone} zone' for zone in ZONE_NAMES)])
        sets = np.empty(len(self), dtype=object)
        sets[:] = [set(names[row]) for row in np.concatenate([there, zones], axis=1)]
        return sets

    def tasks(self, label: int = 0) -> list[Task]:
        """Return what each frame is labelled with; label 0 is the task that the robot is on."""
        return [
            Task(KINDS[kind], OBJECT_NAMES[thing], ZONE_NAMES[zone] if zone >= 0 else None)
            for kind, thing, zone, *_ in self.frames['labels'][:, label]
        ]


def relit(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Return pictures (b, 3, h, w) in other lights."""
    return augment((255.0 * pictures).to(torch.uint8)[:, None], random)[:, 0].float() / 255.0


def demonstrate(folder: Path, config: TableConfig, workers: int) -> None:
    """
    Let the scripted expert make what is missing of its demonstrations in ``folder``.

    Raises ConfigurationError if those there were made with other settings, or do not tell.
    """
    default = load_config()
    keep_every = max(1, round(config.episode_s * 10.0 / config.frames_per_scene))
    made = replace(default.demonstrations, episode_s=config.episode_s, keep_every=keep_every)
    wanted = replace(default, episodes=config.scenes, demonstrations=made)
    if not config_path(folder).exists() and any(folder.glob('*.npy')):
        raise ConfigurationError(
            f'{folder} does not tell what its demonstrations were made with: remove it, or give '
            'it with --data'
        )
    if found := differences(wanted, folder, ('seed', 'episodes', 'demonstrations')):
        raise ConfigurationError(
            f'{folder} has other demonstrations: {found}; remove it, or give it with --data'
        )
    folder.mkdir(parents=True, exist_ok=True)
    save_config(wanted, config_path(folder))
    collect(folder, made, wanted.episodes, wanted.seed, workers)


def load_table(folder: Path, config: TableConfig) -> Table:
    """
    Return some frames of every scene of the demonstrations in ``folder``.

    Those of a training run will do. Raises ConfigurationError if there are none.
    """
    paths = sorted(folder.glob('*.npy'))
    if not paths:
        raise ConfigurationError(
            f'{folder} has no demonstrations: give those of a training run, or leave --data'
        )
    shards = load_frames(paths, load_config().demonstrations)
    frames, scene, scenes = [], [], 0
    for shard in shards:
        # Zones never move: another place is another scene.
        places = np.nan_to_num(shard['zone_xy'].reshape(len(shard), -1))
        starts = np.flatnonzero(np.abs(np.diff(places, axis=0, prepend=np.inf)).max(axis=1) > 0.0)
        for start, end in zip(starts, [*starts[1:], len(shard)], strict=True):
            kept = np.linspace(start, end - 1, min(config.frames_per_scene, end - start))
            frames.append(shard[kept.round().astype(int)])
            scene.append(np.full(len(kept), scenes))
            scenes += 1
    return Table(np.concatenate(frames), np.concatenate(scene))


class Words:
    """
    The pieces of words that some texts are made of, by the tokenizer of the sentence encoder.

    They are numbered anew, so that an embedding of them is small; 0 is padding.
    """

    PADDING, MASK, UNKNOWN = 0, 1, 2

    def __init__(self, texts: Sequence[str]) -> None:
        self._encoder = load_text_encoder()
        counted = Counter(piece for text in texts for piece in self.pieces(text))
        self.names = ('[PAD]', '[MASK]', '[UNK]', *(piece for piece, _ in counted.most_common()))
        self._ids = {name: i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def pieces(self, text: str) -> tuple[str, ...]:
        # Without the marks at both ends.
        return self._encoder.pieces(text)[1:-1]

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids (b, n) int64 and their mask (b, n) bool."""
        rows = [
            torch.tensor([self._ids.get(piece, self.UNKNOWN) for piece in self.pieces(text)])
            for text in texts
        ]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return ids, ids != self.PADDING
