"""
The scripted expert's episodes, one command each, recorded as a dataset and played back.

An action is the pose and gripper that the robot is sent to within the next frame period: it goes
there straight, in control ticks. So the actions alone, in the recorded scene, play the episode
again, tick by tick the same.
"""

from __future__ import annotations

from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import asdict, dataclass
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import threading

import mujoco
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vla_ros import __version__
from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.closed_loop import measured_state
from vla_ros.geometry import normalised, Pose, slerp
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.pipeline.strict_json import read_json
from vla_ros.sim.environment import CONTROL_DT_S, TabletopEnv, WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.expert import waypoint
from vla_ros.sim.scene import HELD_OUT_PAIRS, sample_scene, SceneSpec
from vla_ros.sim.tasks import KINDS, possible_tasks, succeeded, Task, TIME_LIMIT_S
from vla_ros.training.grammar import sentence
from vla_ros.training.lerobot import Episode, FPS, INFO_PATH, merge, write_part

_TICKS = round(1.0 / (FPS * CONTROL_DT_S))
_RECORDING_PATH = 'meta/recording.json'
_PARTS = 'parts'
#: Ends the seeds of a split, as no other seed ends: no two splits show the same scenes.
_OF_SPLIT = {'train': (), 'validation': (4,), 'test': (5,)}


@dataclass(frozen=True)
class Recording:
    """
    All that the episodes of a dataset follow from.

    ``split`` is that of the scenes, objects and sentences. Physics may differ between versions of
    MuJoCo.
    """

    seed: int
    split: str
    image_size_px: int
    vla_ros: str = __version__
    mujoco: str = mujoco.__version__


def record_episode(env: TabletopEnv, recording: Recording, index: int) -> Episode:
    """Return the episode of that index, in which the expert succeeds."""
    seed, ending = recording.seed, _OF_SPLIT[recording.split]
    rng = np.random.default_rng((seed, index, *ending))
    # Of their own: the robot moves the same whatever is said.
    words = np.random.default_rng((seed, index, 1, *ending))
    while True:
        scene, tasks = _draw(rng, KINDS[index % len(KINDS)], recording.split)
        env.reset(scene=scene)
        tasks = [task for task in tasks if not succeeded(env, task)]
        if not tasks:
            continue
        task = tasks[int(rng.integers(len(tasks)))]
        text = sentence(task, words, recording.split, recording.split)
        episode = _demonstrate(env, scene, task, text)
        if episode.success[-1]:
            return episode


def _draw(rng: np.random.Generator, kind: str, split: str) -> tuple[SceneSpec, list[Task]]:
    """Return a scene and tasks in it: with held-out objects for the split test, else without."""
    if split != 'test':
        scene = sample_scene(rng, forbidden_objects=HELD_OUT_PAIRS)
        return scene, possible_tasks(scene, (kind,))
    name = HELD_OUT_PAIRS[int(rng.integers(len(HELD_OUT_PAIRS)))]
    scene = sample_scene(rng, required_objects=(name,))
    return scene, [task for task in possible_tasks(scene, (kind,)) if task.object == name]


def _demonstrate(env: TabletopEnv, scene: SceneSpec, task: Task, text: str) -> Episode:
    images, states, actions, success = [], [], [], []
    limiter = MotionLimiter(Limits(WORKSPACE_MIN, WORKSPACE_MAX), env.end_effector)
    pose, done = env.end_effector, False
    while not done and env.time_s < TIME_LIMIT_S[task.kind]:
        advice = waypoint(env, task)
        images.append(env.render())
        states.append(_upright(measured_state(env)))
        target = limiter.step(advice.pose, 1.0 / FPS)
        actions.append(_upright(np.append(target.vector(), advice.gripper).astype(np.float32)))
        pose = _act(env, pose, actions[-1])
        success.append(succeeded(env, task))
        done = success[-1] and waypoint(env, task).done
    return Episode(
        task, text, scene, np.array(images), np.array(states), np.array(actions), np.array(success)
    )


def _upright(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pose and gripper (8,) with that sign of the quaternion that has x >= 0."""
    values[3:7] *= -1.0 if values[3] < 0.0 else 1.0
    return values


def _act(env: TabletopEnv, start: Pose, action: NDArray[np.float32]) -> Pose:
    """Command the straight way from ``start`` to the action's pose; return that pose."""
    goal = Pose(action[:3].astype(np.float64), normalised(action[3:7]))
    for share in np.arange(1, _TICKS + 1) / _TICKS:
        position = start.position + share * (goal.position - start.position)
        env.step(Pose(position, slerp(start.quaternion, goal.quaternion, share)), float(action[7]))
    return goal


@dataclass(frozen=True)
class Replay:
    """
    What came of playing an episode back.

    ``success`` is judged at its end; ``error_m`` is the largest distance of the gripper from
    where it was in the recording.
    """

    success: bool
    error_m: float


def replay(episode: Episode) -> Replay:
    """Play the recorded actions in the recorded scene."""
    env = TabletopEnv(image_size_px=16)
    env.reset(scene=episode.scene)
    pose, error_m = env.end_effector, 0.0
    for state, action in zip(episode.states, episode.actions, strict=True):
        away_m = float(np.linalg.norm(env.end_effector.position - state[:3]))
        error_m = max(error_m, away_m)
        pose = _act(env, pose, action)
    return Replay(succeeded(env, episode.task), error_m)


def record(folder: Path, recording: Recording, episodes: int, workers: int) -> None:
    """
    Record a dataset of so many episodes in ``folder``, over ``workers`` processes.

    What a killed call left is kept. The dataset follows from ``recording`` alone, not from
    ``workers``. Raises ConfigurationError if the folder holds something else.
    """
    _claim(folder, recording)
    parts = [folder / _PARTS / f'episode-{i:06d}.parquet' for i in range(episodes)]
    if (folder / INFO_PATH).is_file():
        _check_complete(folder, episodes)
    else:
        _make_parts(parts, recording, workers)
        merge(folder, parts, recording.split, recording.image_size_px)
    shutil.rmtree(folder / _PARTS, ignore_errors=True)


def _make_parts(parts: list[Path], recording: Recording, workers: int) -> None:
    missing = [i for i, part in enumerate(parts) if not part.is_file()]
    context = multiprocessing.get_context('spawn')  # fork does not go with threads
    with ProcessPoolExecutor(workers, context, _Worker.start, (recording,)) as pool:
        jobs = [pool.submit(_Worker.run, i, parts[i]) for i in missing]
        kept = len(parts) - len(missing)
        try:
            for job in tqdm(as_completed(jobs), 'episodes', len(parts), initial=kept, unit=''):
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # else all the others come first
            raise


class _Worker:
    """What each process makes once."""

    env: TabletopEnv
    recording: Recording

    @classmethod
    def start(cls, recording: Recording) -> None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        cls.env, cls.recording = TabletopEnv(recording.image_size_px), recording

    @classmethod
    def run(cls, index: int, part: Path) -> None:
        write_part(part, record_episode(cls.env, cls.recording, index))


def _end_with_parent() -> None:
    """End this process when its parent was killed; it would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _claim(folder: Path, recording: Recording) -> None:
    """Say in ``folder`` what is recorded there; raises ConfigurationError if it is another."""
    path = folder / _RECORDING_PATH
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ConfigurationError(
                f'{folder} is neither empty nor a recording of vla-ros: choose another folder'
            )
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(asdict(recording), indent=2) + '\n')
        return
    there = read_recording(folder)
    if there != recording:
        old, new = asdict(there), asdict(recording)
        differ = [f'{key} {old[key]!r}, not {new[key]!r}' for key in old if old[key] != new[key]]
        raise ConfigurationError(
            f'{folder} is a recording with {"; ".join(differ)}: remove it, or choose another '
            'folder'
        )


def read_recording(folder: Path) -> Recording:
    """Return what the dataset follows from; raises ConfigurationError if that is not told."""
    return read_json(Recording, folder / _RECORDING_PATH, 'record the dataset again')


def _check_complete(folder: Path, episodes: int) -> None:
    there = json.loads((folder / INFO_PATH).read_text())['total_episodes']
    if there != episodes:
        raise ConfigurationError(
            f'{folder} is complete with {there} episodes, not {episodes}: remove it, or choose '
            'another folder'
        )
