"""
Demonstrations: what the camera and the robot saw, and what an expert would do for many commands.

Each frame is labelled by the stateless expert for several tasks at once. The picture is the same
and the labels differ, so nothing but the command tells them apart. The robot is driven by the
expert, disturbed and re-instructed at random, or by a policy whose mistakes the expert then
corrects (DAgger, Ross et al. 2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import torch

from vla_ros.evaluation.closed_loop import CAMERA_PERIOD_S, ClosedLoop, measured_state
from vla_ros.geometry import Array
from vla_ros.interfaces import ActionChunk, BASE_FRAME, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.limits import check_least
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.pipeline.image import fit
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.expert import Waypoint, waypoint
from vla_ros.sim.scene import COLOURS, HELD_OUT_PAIRS, OBJECT_NAMES, sample_scene
from vla_ros.sim.tasks import KINDS, possible_tasks, Task

ZONE_NAMES = tuple(COLOURS)
#: How often each kind of task is demonstrated; pushing is the hardest.
_KIND_WEIGHTS = {'point': 0.15, 'pick': 0.2, 'push': 0.35, 'put': 0.3}
_CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL)


@dataclass(frozen=True)
class DemonstrationConfig:
    """
    How demonstrations are made; the values are in ``config/train/default.yaml``.

    The noise widens the states that are seen. A disturbance lasts about ``disturbance_s``, like a
    push or a wrong idea, rather than trembling. After success the robot waits ``rest_s`` for the
    next command.
    """

    image_size: int
    render_sizes: tuple[int, ...]
    episode_s: float
    keep_every: int
    labels_per_frame: int
    disturbed_share: float
    disturbance_s: float
    position_noise_m: float
    yaw_noise_rad: float
    gripper_flip_share: float
    rest_s: float
    reinstruct_share_per_s: float
    max_latency_s: float
    horizon: int
    dt_s: float
    speed_m_s: float
    angular_speed_rad_s: float

    def __post_init__(self) -> None:
        check_least(self, image_size=1, keep_every=1, labels_per_frame=1, horizon=1)
        if not self.render_sizes:
            raise ValueError('render_sizes is empty; valid: one size in pixels, or several')


def frame_dtype(config: DemonstrationConfig) -> np.dtype:
    """
    Return the record of one frame.

    ``object_px`` and ``zone_px`` are pixels (u, v), ``object_xyz`` and ``zone_xy`` metres in the
    base frame, NaN for what is not in the scene; ``labels`` holds what the expert would do: the
    first is for the task that the robot was on.
    """
    size = config.image_size
    label = np.dtype(
        [
            ('kind', 'i1'),
            ('object', 'i1'),
            ('zone', 'i1'),  # -1: none
            ('position', 'f4', 3),
            ('yaw', 'f4'),
            ('gripper', 'f4'),
            ('done', '?'),
        ]
    )
    return np.dtype(
        [
            ('image', 'u1', (size, size, 3)),
            ('state', 'f4', 8),
            ('gripper_target', 'f4'),
            ('hand_px', 'f4', 2),
            ('object_px', 'f4', (len(OBJECT_NAMES), 2)),
            ('object_xyz', 'f4', (len(OBJECT_NAMES), 3)),
            ('zone_px', 'f4', (len(ZONE_NAMES), 2)),
            ('zone_xy', 'f4', (len(ZONE_NAMES), 2)),
            ('labels', label, config.labels_per_frame),
        ]
    )


class Actor(Protocol):
    """Whoever drives the robot while frames are taken."""

    def chunk(self, env: TabletopEnv, task: Task, stamp_ns: int) -> ActionChunk: ...


class ExpertActor:
    """The scripted expert, disturbed now and then."""

    def __init__(self, config: DemonstrationConfig, rng: np.random.Generator) -> None:
        self._config = config
        self._rng = rng
        self._move = StraightMove(
            config.horizon, config.dt_s, config.speed_m_s, config.angular_speed_rad_s
        )
        self._until_s = 0.0
        self._offset: Array = np.zeros(3)
        self._yaw_rad = 0.0
        self._flip = False

    def chunk(self, env: TabletopEnv, task: Task, stamp_ns: int) -> ActionChunk:
        """Return the straight move to the expert's waypoint, or to a disturbed one."""
        if not 0.0 <= self._until_s - env.time_s <= 2.0 * self._config.disturbance_s:
            self._disturb(env.time_s)
        goal = waypoint(env, task)
        gripper = 1.0 - goal.gripper if self._flip else goal.gripper
        values = self._move(
            torch.from_numpy(measured_state(env))[None],
            torch.from_numpy(goal.position + self._offset).float()[None],
            torch.tensor([goal.yaw_rad + self._yaw_rad]).float(),
            torch.tensor([gripper]).float(),
        )
        return ActionChunk(
            stamp_ns=stamp_ns,
            command_stamp_ns=0,
            frame_id=BASE_FRAME,
            channels=_CHANNELS,
            values=values[0].double().numpy(),
            dt_s=self._config.dt_s,
        )

    def _disturb(self, now_s: float) -> None:
        config, rng = self._config, self._rng
        self._until_s = now_s + rng.uniform(0.3, 1.7) * config.disturbance_s
        disturbed = rng.random() < config.disturbed_share
        # Mostly small, at times large: precision and recovery are both to be seen.
        size = config.position_noise_m * rng.choice([0.3, 1.0, 2.0]) if disturbed else 0.0
        self._offset = size * rng.standard_normal(3) * (1.0, 1.0, 0.7)
        self._yaw_rad = config.yaw_noise_rad * rng.standard_normal() if disturbed else 0.0
        self._flip = disturbed and rng.random() < config.gripper_flip_share


def draw_task(tasks: list[Task], rng: np.random.Generator) -> Task:
    """Return one of ``tasks``, its kind drawn by weight."""
    kinds = sorted({task.kind for task in tasks})
    weights = np.array([_KIND_WEIGHTS[kind] for kind in kinds])
    kind = rng.choice(kinds, p=weights / weights.sum())
    some = [task for task in tasks if task.kind == kind]
    return some[rng.integers(len(some))]


def episode(
    env: TabletopEnv, actor: Actor, config: DemonstrationConfig, rng: np.random.Generator
) -> Iterator[NDArray]:
    """
    Yield the frames (records of ``frame_dtype``) of one scene, under changing commands.

    ``env`` is reset to a new scene. It goes on with another task once one is done, and now and
    then in the middle of one.
    """
    env.reset(scene=sample_scene(rng, forbidden_objects=HELD_OUT_PAIRS))
    loop = ClosedLoop(env, latency_s=rng.uniform(0.0, config.max_latency_s))
    tasks = possible_tasks(env.scene)
    task, done_s = draw_task(tasks, rng), 0.0
    loop.instruct(task.key)
    for i in range(round(config.episode_s / CAMERA_PERIOD_S)):
        if i % config.keep_every == 0:
            yield _frame(env, loop, task, tasks, config, rng)
        chunk = actor.chunk(env, task, loop.stamp_ns)
        loop.advance(_motion(chunk, loop.command_stamp_ns))
        done_s += CAMERA_PERIOD_S * waypoint(env, task).done
        bored = rng.random() < config.reinstruct_share_per_s * CAMERA_PERIOD_S
        if bored or done_s > config.rest_s:
            task, done_s = draw_task(tasks, rng), 0.0
            loop.instruct(task.key)


def _motion(chunk: ActionChunk, command_stamp_ns: int) -> ActionChunk:
    """Return the chunk's motion for a command: neither doubt nor termination ends its task."""
    values = np.column_stack([chunk.column(channel) for channel in _CHANNELS])
    return replace(chunk, command_stamp_ns=command_stamp_ns, channels=_CHANNELS, values=values)


def _frame(
    env: TabletopEnv,
    loop: ClosedLoop,
    task: Task,
    tasks: list[Task],
    config: DemonstrationConfig,
    rng: np.random.Generator,
) -> NDArray:
    frame = np.zeros((), dtype=frame_dtype(config))
    size = config.image_size
    frame['image'] = fit(env.render(), size, size)
    frame['state'] = measured_state(env)
    frame['gripper_target'] = loop.gripper_target
    camera = env.camera.resized(size, size)
    frame['hand_px'] = camera.project(env.end_effector.position)[0]
    for part in ('object_px', 'object_xyz', 'zone_px', 'zone_xy'):
        frame[part] = np.nan
    for spec in env.scene.objects:
        index = OBJECT_NAMES.index(spec.name)
        frame['object_xyz'][index] = env.object_position(spec.name)
        frame['object_px'][index] = camera.project(frame['object_xyz'][index])[0]
    for zone in env.scene.zones:
        index = ZONE_NAMES.index(zone.name)
        frame['zone_xy'][index] = zone.x, zone.y
        frame['zone_px'][index] = camera.project((zone.x, zone.y, 0.0))[0]
    others = [draw_task(tasks, rng) for _ in range(config.labels_per_frame - 1)]
    for i, labelled in enumerate([task, *others]):
        frame['labels'][i] = _label(labelled, waypoint(env, labelled))
    return frame


def _label(task: Task, goal: Waypoint) -> tuple:
    return (
        KINDS.index(task.kind),
        OBJECT_NAMES.index(task.object),
        ZONE_NAMES.index(task.zone) if task.zone else -1,
        goal.position,
        goal.yaw_rad,
        goal.gripper,
        goal.done,
    )
