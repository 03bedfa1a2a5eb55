"""
Demonstrations: frames of the simulator, each labelled by the expert for several commands.

An episode follows one command after another in one scene, disturbed on purpose: for moments the
gripper is pushed off its way, opened or closed wrongly, or told another command half way, holding
whatever it holds. Since the expert needs no memory, every frame can be labelled with its advice
for any command that the scene allows; labelling the same picture for several commands is what
makes the words matter.

A run folder holds one shard a block of episodes: ``frames-NNNN.npy`` (t, h, w, 3) uint8 and
``labels-NNNN.npz``. A shard that exists is not made again, so generation resumes after a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import dataclass
import multiprocessing
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Array, Pose
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.sim.environment import CONTROL_DT_S, TabletopEnv, WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.expert import Waypoint, waypoint
from vla_ros.sim.scene import COLOURS, sample_scene, SHAPES, split_name
from vla_ros.sim.tasks import KINDS, possible_tasks, Task

FRAME_DT_S = 0.1
_TICKS_PER_FRAME = round(FRAME_DT_S / CONTROL_DT_S)
_COLOUR_INDEX = {name: i for i, name in enumerate(COLOURS)}

#: The columns of a label: what was asked, and the expert's advice in the frame's state.
TASK_FIELDS = ('kind', 'colour', 'shape', 'zone')
ADVICE_FIELDS = (
    'x', 'y', 'z', 'yaw', 'gripper', 'done',
    'object_x', 'object_y', 'object_z', 'zone_x', 'zone_y',
)  # fmt: skip

#: Who moves the arm: given the environment and the task, returns the next target and gripper.
Actor = Callable[[TabletopEnv, Task], tuple[Pose, float]]


@dataclass(frozen=True)
class DemonstrationConfig:
    """How demonstrations are made; every field is saved with the run."""

    #: Frames of one episode, one every ``FRAME_DT_S``.
    frames: int = 120
    #: Commands that label each frame; the first is the one being followed.
    commands: int = 4
    image_size_px: int = 96
    #: Chance that a disturbance begins at a frame, and how long it lasts at most.
    disturbance: float = 0.10
    disturbance_frames: int = 5
    disturbance_m: float = 0.05
    #: Chance that another command comes half way at a frame.
    interruption: float = 0.015
    #: Frames spent at rest after success, so that there is enough to learn to stop from.
    rest_frames: int = 8


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """
    Frames of one shard and their labels; t frames, c commands a frame.

    ``images`` (t, h, w, 3) uint8; ``states`` (t, 8) float32: measured pose and gripper closing;
    ``tasks`` (t, c, 4) int16 by ``TASK_FIELDS``, zone -1 for none; ``advice`` (t, c, 11) float32
    by ``ADVICE_FIELDS``, zone NaN for none.
    """

    images: NDArray[np.uint8]
    states: NDArray[np.float32]
    tasks: NDArray[np.int16]
    advice: NDArray[np.float32]


def task_of(row: NDArray[np.int16]) -> Task:
    """Return the task behind one row of ``Demonstrations.tasks``."""
    kind, colour, shape, zone = (int(v) for v in row)
    colours = tuple(COLOURS)
    return Task(
        KINDS[kind], f'{colours[colour]} {SHAPES[shape]}', colours[zone] if zone >= 0 else None
    )


def _task_row(task: Task) -> tuple[int, int, int, int]:
    colour, shape = split_name(task.object)
    zone = _COLOUR_INDEX[task.zone] if task.zone is not None else -1
    return KINDS.index(task.kind), _COLOUR_INDEX[colour], SHAPES.index(shape), zone


def _advice_row(env: TabletopEnv, task: Task, advice: Waypoint) -> Array:
    zone = env.scene.zone(task.zone) if task.zone is not None else None
    return np.array(
        [
            *advice.position,
            advice.yaw_rad,
            advice.gripper,
            float(advice.done),
            *env.object_position(task.object),
            zone.x if zone else np.nan,
            zone.y if zone else np.nan,
        ]
    )


def state_vector(env: TabletopEnv) -> NDArray[np.float32]:
    """Return (8,): what the robot itself measures, in the order of ``STATE_CHANNELS``."""
    return np.append(env.end_effector.vector(), env.gripper_closing).astype(np.float32)


def sample_task(rng: np.random.Generator, env: TabletopEnv) -> Task:
    """Return a task that the scene allows, every kind equally often."""
    tasks = possible_tasks(env.scene, (KINDS[int(rng.integers(len(KINDS)))],))
    return tasks[int(rng.integers(len(tasks)))]


class _Disturbance:
    """A push of the target and a wrong gripper that come and go by chance."""

    def __init__(self, config: DemonstrationConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self._left = 0
        self._offset = np.zeros(3)
        self._gripper: float | None = None

    def next_frame(self) -> None:
        config, rng = self._config, self._rng
        if self._left > 0:
            self._left -= 1
        elif rng.random() < config.disturbance:
            self._left = int(rng.integers(1, config.disturbance_frames + 1))
            self._offset = rng.normal(0.0, config.disturbance_m, 3)
            self._gripper = float(rng.integers(2)) if rng.random() < 0.2 else None

    def apply(self, env: TabletopEnv, pose: Pose, gripper: float) -> tuple[Pose, float]:
        if self._left == 0:
            return pose, gripper
        pushed = env.end_effector.position + self._offset
        return Pose(pushed, pose.quaternion), gripper if self._gripper is None else self._gripper


def expert_actor(env: TabletopEnv, task: Task) -> tuple[Pose, float]:
    advice = waypoint(env, task)
    return advice.pose, advice.gripper


def record_episode(
    seed: int, config: DemonstrationConfig, actor: Actor = expert_actor
) -> Demonstrations:
    """Follow commands in the scene of ``seed`` with ``actor`` and label every frame."""
    rng = np.random.default_rng([seed, 1])
    env = TabletopEnv(config.image_size_px)
    env.reset(scene=sample_scene(np.random.default_rng(seed)))
    limiter = MotionLimiter(Limits(WORKSPACE_MIN, WORKSPACE_MAX), env.end_effector)
    disturbance = _Disturbance(config, rng)
    task = sample_task(rng, env)
    rest_frames = 0
    images, states, tasks, advice = [], [], [], []
    for _ in range(config.frames):
        asked = [task, *(sample_task(rng, env) for _ in range(config.commands - 1))]
        given = [waypoint(env, t) for t in asked]
        images.append(env.render())
        states.append(state_vector(env))
        tasks.append([_task_row(t) for t in asked])
        advice.append([_advice_row(env, t, w) for t, w in zip(asked, given, strict=True)])

        disturbance.next_frame()
        for _ in range(_TICKS_PER_FRAME):
            target, gripper = disturbance.apply(env, *actor(env, task))
            env.step(limiter.step(target, CONTROL_DT_S), gripper)
        rest_frames = rest_frames + 1 if given[0].done else 0
        if rest_frames > config.rest_frames or rng.random() < config.interruption:
            task, rest_frames = sample_task(rng, env), 0
    return Demonstrations(
        np.stack(images),
        np.stack(states),
        np.array(tasks, dtype=np.int16),
        np.array(advice, dtype=np.float32),
    )


EPISODES_PER_SHARD = 10


def _write_shard(folder: Path, shard: int, seed: int, config: DemonstrationConfig) -> int:
    first = seed + shard * EPISODES_PER_SHARD
    runs = [record_episode(s, config) for s in range(first, first + EPISODES_PER_SHARD)]
    partial = folder / f'frames-{shard:04d}.partial.npy'
    np.save(partial, np.concatenate([r.images for r in runs]))
    np.savez(
        folder / f'labels-{shard:04d}.npz',
        states=np.concatenate([r.states for r in runs]),
        tasks=np.concatenate([r.tasks for r in runs]),
        advice=np.concatenate([r.advice for r in runs]),
    )
    # The frames' final name comes last: it says that the shard is whole.
    os.replace(partial, folder / f'frames-{shard:04d}.npy')
    return shard


def generate(
    folder: Path, episodes: int, seed: int, config: DemonstrationConfig, workers: int | None = None
) -> Iterator[int]:
    """Make the missing shards over all cores; yields how many shards are complete after each."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = -(-episodes // EPISODES_PER_SHARD)
    missing = [s for s in range(shards) if not (folder / f'frames-{s:04d}.npy').exists()]
    yield shards - len(missing)
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context) as pool:
        jobs = [pool.submit(_write_shard, folder, s, seed, config) for s in missing]
        for done, job in enumerate(as_completed(jobs), start=shards - len(missing) + 1):
            job.result()
            yield done


def load(folder: Path) -> list[Demonstrations]:
    """Return every complete shard, its images memory-mapped, in order."""
    shards = []
    for path in sorted(folder.glob('frames-????.npy')):
        labels = np.load(folder / path.name.replace('frames', 'labels').replace('.npy', '.npz'))
        images = np.load(path, mmap_mode='r')
        shards.append(Demonstrations(images, labels['states'], labels['tasks'], labels['advice']))
    return shards
