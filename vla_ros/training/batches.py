"""From frames on disk to batches: several commands for each picture, mirrored at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.interfaces import CameraModel, REFUSALS
from vla_ros.limits import check_least
from vla_ros.models.meaning import Meaning
from vla_ros.sim.scene import COLOURS, HELD_OUT_PAIRS, OBJECT_NAMES, SHAPES, split_name
from vla_ros.sim.tasks import KINDS
from vla_ros.training.rehearsal import Rehearsal, rehearsal_of

#: Task logits, in this order: the refusals first, then the kinds.
TASKS = (*REFUSALS, *KINDS)

_COLOUR_OF = np.array([list(COLOURS).index(split_name(name)[0]) for name in OBJECT_NAMES])
_SHAPE_OF = np.array([SHAPES.index(split_name(name)[1]) for name in OBJECT_NAMES])
#: Objects that may be asked for though they are not there. Those held out are in no picture, so
#: they would only ever be asked for in vain; what names them a reader does learn, of sentences.
_ABSENT = np.array([name not in HELD_OUT_PAIRS for name in OBJECT_NAMES])


#: Sets their draws apart from those of the batches.
_OF_REHEARSALS = 1


class Batch(NamedTuple):
    """
    f frames with m commands each; rows r = f * m, those of one frame together.

    ``image`` (f, 1, 3, h, w) uint8; ``meaning`` (r,) what is asked for; ``state`` (r, 8). The
    expert's answer: ``position`` (r, 3) m, ``yaw`` (r,) rad, ``gripper`` and ``done`` (r,) in
    0..1, NaN where there is none, for what is asked for is not there: ``object_there``,
    ``zone_there`` (r,) 0 or 1, NaN where none is named. Where it is seen: ``object_px``,
    ``zone_px``, ``hand_px`` (r, 2) pixels, NaN where it is not; of every colour and shape
    ``colours_px`` (f, colours, shapes, 2) and ``shapes_px`` (f, shapes, colours, 2).
    """

    image: Tensor
    meaning: Meaning
    state: Tensor
    position: Tensor
    yaw: Tensor
    gripper: Tensor
    done: Tensor
    object_there: Tensor
    zone_there: Tensor
    object_px: Tensor
    zone_px: Tensor
    hand_px: Tensor
    colours_px: Tensor
    shapes_px: Tensor


@dataclass(frozen=True)
class BatchConfig:
    """
    How many frames, commands and sentences a batch holds, and frames to rehearse on.

    Of the commands a share asks for nothing, for what is not there, or leaves colour or shape
    open where the other one tells which object is meant.
    """

    frames: int
    commands: int
    sentences: int
    rehearsed: int
    unrelated_share: float
    absent_share: float
    open_share: float

    def __post_init__(self) -> None:
        check_least(self, frames=1, commands=1, sentences=1)
        check_least(self, rehearsed=0, unrelated_share=0, absent_share=0, open_share=0)
        shares = self.unrelated_share + self.absent_share + self.open_share
        if shares > 1.0:
            raise ValueError(
                f'unrelated_share, absent_share and open_share sum to {shares:g}; valid: up to 1'
            )


class Batches:
    """Draws batches from shards of frames; the same seed and step give the same batch."""

    def __init__(self, shards: list[NDArray], config: BatchConfig, seed: int) -> None:
        self._shards = shards
        self._ends = np.cumsum([len(shard) for shard in shards])
        self._config = config
        self._seed = seed

    def __len__(self) -> int:
        """Return the number of frames."""
        return int(self._ends[-1])

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Return the batch of a step, or the share of one of several processes in it."""
        config, rng = self._config, np.random.default_rng((self._seed, step))
        chosen = rng.integers(len(self), size=config.frames)
        mirrored = rng.random(config.frames) < 0.5
        seeds = rng.integers(2**32, size=config.frames)
        mine = slice(rank, None, ranks)
        frames = self._gather(chosen[mine])
        frames[mirrored[mine]] = mirror(frames[mirrored[mine]])
        asked = [
            _ask(frame, config, np.random.default_rng(seed))
            for frame, seed in zip(frames, seeds[mine], strict=True)
        ]
        return _assemble(frames, np.concatenate(asked))

    def rehearsal(self, step: int, rank: int = 0, ranks: int = 1) -> Rehearsal | None:
        """Return what is rehearsed in a step, as ``batch`` does; None if nothing is."""
        count = self._config.rehearsed
        rng = np.random.default_rng((self._seed, step, _OF_REHEARSALS))
        chosen, mirrored = rng.integers(len(self), size=count), rng.random(count) < 0.5
        mine = slice(rank, None, ranks)
        if not len(chosen[mine]):
            return None
        frames = self._gather(chosen[mine])
        frames[mirrored[mine]] = mirror(frames[mirrored[mine]])
        return rehearsal_of(frames)

    def _gather(self, indices: NDArray) -> NDArray:
        shard = np.searchsorted(self._ends, indices, side='right')
        first = np.concatenate([[0], self._ends[:-1]])
        return np.stack(
            [self._shards[s][i - first[s]] for s, i in zip(shard, indices, strict=True)]
        )


#: What is asked for with one frame: the expert's label, and what the words say of it.
_ASKED = np.dtype(
    [
        ('label', 'i8'),  # place among the frame's labels; -1: no expert knows
        ('task', 'i8'),
        ('object', 'i8'),
        ('colour', 'i8'),
        ('shape', 'i8'),
        ('zone', 'i8'),
    ]
)


def _ask(frame: NDArray, config: BatchConfig, rng: np.random.Generator) -> NDArray:
    """Return (commands,) records of ``_ASKED``, the task that the robot was on first."""
    labels = frame['labels']
    asked = np.zeros(config.commands, _ASKED)
    asked['label'][1:] = 1 + rng.permutation(len(labels) - 1)[: config.commands - 1]
    chosen = labels[asked['label']]
    asked['task'] = chosen['kind'] + 1
    asked['object'], asked['zone'] = chosen['object'], chosen['zone']
    here = np.isfinite(frame['object_px'][:, 0])
    share = rng.random(config.commands)
    absent = config.unrelated_share + config.absent_share
    for row, drawn in zip(asked, share, strict=True):
        if drawn < config.unrelated_share:
            row['task'], row['label'] = 0, -1
        elif drawn < absent:
            _ask_for_absent(row, frame, here, rng)
    things = asked['object']
    asked['colour'], asked['shape'] = _COLOUR_OF[things], _SHAPE_OF[things]
    for row, drawn in zip(asked, share, strict=True):
        if absent <= drawn < absent + config.open_share:
            part, of = [('colour', _SHAPE_OF), ('shape', _COLOUR_OF)][int(rng.integers(2))]
            if (of[here] == of[row['object']]).sum() == 1:
                row[part] = -1
    return asked


def _ask_for_absent(row: np.void, frame: NDArray, here: NDArray, rng: np.random.Generator) -> None:
    """Change a command to one for an object, or a zone, that is not in the scene."""
    row['label'] = -1
    if row['zone'] >= 0 and rng.random() < 0.5:
        row['zone'] = rng.choice(np.flatnonzero(np.isnan(frame['zone_px'][:, 0])))
    else:
        row['object'] = rng.choice(np.flatnonzero(~here & _ABSENT))


def _assemble(frames: NDArray, asked: NDArray) -> Batch:
    rows = np.repeat(np.arange(len(frames)), len(asked) // len(frames))
    known = asked['label'] >= 0
    labels = frames['labels'][rows, asked['label']]
    state = frames['state'][rows]
    asks, names_zone = asked['task'] > 0, (asked['task'] > 0) & (asked['zone'] >= 0)
    object_px = _where(asks, frames['object_px'][rows, asked['object']])
    zone_px = _where(names_zone, frames['zone_px'][rows, asked['zone']])

    def there(pixels: NDArray, named: NDArray) -> Tensor:
        return _float(_where(named, np.isfinite(pixels[:, 0])))

    objects_px = frames['object_px'].reshape(len(frames), len(COLOURS), len(SHAPES), 2)
    # Told nothing to do, the expert stays; asked for what is not there, nobody knows.
    position = np.where(asks[:, None], labels['position'], state[:, :3])
    gripper = np.where(asks, labels['gripper'], frames['gripper_target'][rows])
    answered = known | ~asks
    return Batch(
        image=torch.from_numpy(frames['image'].transpose(0, 3, 1, 2).copy())[:, None],
        meaning=Meaning(
            *(torch.from_numpy(asked[part].copy()) for part in ('task', 'colour', 'shape', 'zone'))
        ),
        state=_float(state),
        position=_float(_where(answered, position)),
        yaw=_float(_where(known, labels['yaw'])),
        gripper=_float(_where(answered, gripper)),
        done=_float(_where(answered, labels['done'] & asks)),
        object_there=there(object_px, asks),
        zone_there=there(zone_px, names_zone),
        object_px=_float(object_px),
        zone_px=_float(zone_px),
        hand_px=_float(frames['hand_px'][rows]),
        colours_px=_float(objects_px),
        shapes_px=_float(objects_px.swapaxes(1, 2)),
    )


def _where(known: NDArray, values: NDArray) -> NDArray:
    """Return ``values`` (r, ...) as floats, NaN in the rows that are not ``known`` (r,)."""
    shaped = known.reshape(-1, *[1] * (values.ndim - 1))
    return np.where(shaped, values, np.nan)


def _float(values: NDArray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


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
    points = camera.on_plane(pixels.cpu().numpy(), height_m)[:, :2]
    return torch.from_numpy(points).float().to(pixels.device)
