"""From frames on disk to batches: several commands for each picture, mirrored at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.interfaces import CameraModel, NO_TASK
from vla_ros.sim.scene import COLOURS, OBJECT_NAMES, SHAPES, split_name
from vla_ros.sim.tasks import KINDS, Task
from vla_ros.training.demonstrations import ZONE_NAMES
from vla_ros.training.sentences import SentenceBank

#: Task logits, in this order: no task first, then the kinds.
TASKS = (NO_TASK, *KINDS)

_COLOUR_OF = np.array([list(COLOURS).index(split_name(name)[0]) for name in OBJECT_NAMES])
_SHAPE_OF = np.array([SHAPES.index(split_name(name)[1]) for name in OBJECT_NAMES])


class Batch(NamedTuple):
    """
    f frames with m commands each; rows r = f * m, those of one frame together.

    ``image`` (f, 1, 3, h, w) uint8; ``text`` (r, n, d), ``text_mask`` (r, n) bool, ``state``
    (r, 8). The expert's answer: ``position`` (r, 3) m, ``yaw`` (r,) rad, ``gripper`` and ``done``
    (r,) in 0..1. What the words mean: ``task``, ``colour``, ``shape``, ``zone`` (r,) int64, -1
    where nothing is meant. Where it is seen: ``object_px``, ``zone_px``, ``hand_px`` (r, 2)
    pixels, NaN where it is not.
    """

    image: Tensor
    text: Tensor
    text_mask: Tensor
    state: Tensor
    position: Tensor
    yaw: Tensor
    gripper: Tensor
    done: Tensor
    task: Tensor
    colour: Tensor
    shape: Tensor
    zone: Tensor
    object_px: Tensor
    zone_px: Tensor
    hand_px: Tensor


@dataclass(frozen=True)
class BatchConfig:
    """How many frames and commands a batch holds."""

    frames: int
    commands: int
    unrelated_share: float


class Batches:
    """Draws batches from shards of frames; the same seed and step give the same batch."""

    def __init__(
        self, shards: list[NDArray], bank: SentenceBank, config: BatchConfig, seed: int
    ) -> None:
        self._shards = shards
        self._ends = np.cumsum([len(shard) for shard in shards])
        self._bank = bank
        self._config = config
        self._seed = seed
        self._keys = _task_keys()

    def __len__(self) -> int:
        """Return the number of frames."""
        return int(self._ends[-1])

    def batch(self, step: int) -> Batch:
        config, rng = self._config, np.random.default_rng((self._seed, step))
        frames = self._gather(np.sort(rng.integers(len(self), size=config.frames)))
        mirrored = rng.random(config.frames) < 0.5
        frames[mirrored] = mirror(frames[mirrored])

        others = frames['labels'].shape[1] - 1
        extra = 1 + rng.random((config.frames, others)).argsort(axis=1)[:, : config.commands - 1]
        chosen = np.concatenate([np.zeros((config.frames, 1), int), extra], axis=1)
        labels = np.take_along_axis(frames['labels'], chosen, axis=1).reshape(-1)
        rows = np.repeat(np.arange(config.frames), config.commands)
        unrelated = rng.random(len(rows)) < config.unrelated_share
        return self._assemble(frames, rows, labels, unrelated, rng)

    def _gather(self, indices: NDArray) -> NDArray:
        shard = np.searchsorted(self._ends, indices, side='right')
        first = np.concatenate([[0], self._ends[:-1]])
        return np.stack(
            [self._shards[s][i - first[s]] for s, i in zip(shard, indices, strict=True)]
        )

    def _assemble(
        self,
        frames: NDArray,
        rows: NDArray,
        labels: NDArray,
        unrelated: NDArray,
        rng: np.random.Generator,
    ) -> Batch:
        state = frames['state'][rows]
        keys = [
            NO_TASK if skip else self._keys[kind, thing, zone]
            for skip, kind, thing, zone in zip(
                unrelated, labels['kind'], labels['object'], labels['zone'], strict=True
            )
        ]
        sentences = np.array([self._bank.draw(key, rng) for key in keys])
        lengths = self._bank.lengths[sentences]
        thing = labels['object'].astype(np.int64)
        zone = np.where(unrelated, -1, labels['zone']).astype(np.int64)
        nowhere = np.full(2, np.nan, np.float32)

        def meant(values: NDArray) -> Tensor:
            return torch.from_numpy(np.where(unrelated, -1, values).astype(np.int64))

        return Batch(
            image=torch.from_numpy(frames['image'].transpose(0, 3, 1, 2).copy())[:, None],
            text=torch.from_numpy(self._bank.features[sentences].astype(np.float32)),
            text_mask=torch.arange(self._bank.features.shape[1]) < torch.tensor(lengths)[:, None],
            state=torch.from_numpy(state),
            # Told nothing to do, the expert stays.
            position=torch.from_numpy(
                np.where(unrelated[:, None], state[:, :3], labels['position'])
            ),
            yaw=torch.from_numpy(labels['yaw'].copy()),
            gripper=torch.from_numpy(
                np.where(unrelated, frames['gripper_target'][rows], labels['gripper'])
            ),
            done=torch.from_numpy((labels['done'] & ~unrelated).astype(np.float32)),
            task=torch.from_numpy(np.where(unrelated, 0, labels['kind'] + 1).astype(np.int64)),
            colour=meant(_COLOUR_OF[thing]),
            shape=meant(_SHAPE_OF[thing]),
            zone=torch.from_numpy(zone),
            object_px=torch.from_numpy(
                np.where(unrelated[:, None], nowhere, frames['object_px'][rows, thing])
            ),
            zone_px=torch.from_numpy(
                np.where(zone[:, None] < 0, nowhere, frames['zone_px'][rows, zone])
            ),
            hand_px=torch.from_numpy(frames['hand_px'][rows]),
        )


def mirror(frames: NDArray) -> NDArray:
    """Return the frames of the mirrored world: y becomes -y, which the camera looks along."""
    other = frames.copy()
    other['image'] = frames['image'][:, :, ::-1]
    last_px = frames['image'].shape[2] - 1
    for part in ('hand_px', 'object_px', 'zone_px'):
        other[part][..., 0] = last_px - frames[part][..., 0]
    for part in ('object_xyz', 'zone_xy'):
        other[part][..., 1] *= -1.0
    # A reflection keeps the turn about y and reverses those about x and z.
    other['state'] *= np.array([1, -1, 1, -1, 1, -1, 1, 1], np.float32)
    other['labels']['position'][..., 1] *= -1.0
    other['labels']['yaw'] *= -1.0
    return other


def on_table(pixels: Tensor, camera: CameraModel, height_m: float) -> Tensor:
    """Return (r, 2): where the nominal camera sees the plane at ``height_m`` through pixels."""
    points = camera.on_plane(pixels.numpy(), height_m)[:, :2]
    return torch.from_numpy(points).float()


def _task_keys() -> dict[tuple[int, int, int], str]:
    keys = {}
    for kind, kind_name in enumerate(KINDS):
        for thing, name in enumerate(OBJECT_NAMES):
            if kind_name in ('push', 'put'):
                for zone, colour in enumerate(ZONE_NAMES):
                    keys[kind, thing, zone] = Task(kind_name, name, colour).key
            else:
                keys[kind, thing, -1] = Task(kind_name, name).key
    return keys
