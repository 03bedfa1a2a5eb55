"""Where the policy looks and how the robot moves, measured while an episode runs."""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_ros.geometry import Array, Pose
from vla_ros.pipeline.attention import cell_weights
from vla_ros.sim.camera import Frame
from vla_ros.sim.environment import (
    CONTROL_DT_S,
    TabletopEnv,
    WORKSPACE_MAX,
    WORKSPACE_MIN,
)
from vla_ros.sim.scene import SceneSpec, ZONE_RADIUS_M
from vla_ros.sim.tasks import succeeded, Task

#: Cells between the peak of the attention and the object that it is on.
NEAR_CELLS = 2
#: An object that moved farther was touched.
TOUCHED_M = 0.005


@dataclass(frozen=True)
class Motion:
    """The fastest that the robot was told to move, and how far out of its workspace."""

    speed_m_s: float = 0.0
    angular_speed_rad_s: float = 0.0
    outside_m: float = 0.0


class WatchedEnv(TabletopEnv):
    """An environment that notes what it is told; ``motion`` is since the last reset."""

    def reset(self, seed: int = 0, scene: SceneSpec | None = None) -> None:
        super().reset(seed, scene)
        self.motion = Motion()
        self._told = self.end_effector

    def step(self, target: Pose, gripper: float) -> None:
        before, self._told, motion = self._told, target, self.motion
        turn = abs(float(before.quaternion @ target.quaternion))
        outside = np.maximum(WORKSPACE_MIN - target.position, target.position - WORKSPACE_MAX)
        self.motion = Motion(
            max(motion.speed_m_s, _length(target.position - before.position) / CONTROL_DT_S),
            max(motion.angular_speed_rad_s, 2.0 * math.acos(min(turn, 1.0)) / CONTROL_DT_S),
            max(motion.outside_m, float(outside.max())),
        )
        super().step(target, gripper)


class Gaze:
    """
    In how many frames of the approach the attention's peak was on the object of ``task``.

    The approach ends when the object is touched (it moved or is held) or the task succeeds. The
    peak is the heaviest cell of the attention of all words together. It is on the object if
    it lies within ``NEAR_CELLS`` of a cell that shows the object, and no nearer to another one.
    Attention on the task's own zone is left out: it belongs there.
    """

    def __init__(self, env: TabletopEnv, task: Task) -> None:
        self._env = env
        self._task = task
        self._start = env.object_position(task.object)
        self._approaching = True
        self.frames = self.on_object = 0

    def observe(self, frame: Frame, attention: NDArray[np.float32]) -> None:
        """Note a frame and the attention (n, gh, gw) over it."""
        env, name = self._env, self._task.object
        moved_m = _length(env.object_position(name) - self._start)
        if moved_m > TOUCHED_M or env.is_held(name) or succeeded(env, self._task):
            self._approaching = False
        if self._approaching:
            self.frames += 1
            self.on_object += self._is_on_object(frame, cell_weights(attention))

    def _is_on_object(self, frame: Frame, weights: Array) -> bool:
        env = self._env
        shape = (weights.shape[0], weights.shape[1])
        shown = {
            spec.name: cells_of(frame.geom_ids == env.object_geom(spec.name), shape)
            for spec in env.scene.objects
        }
        target = shown.pop(self._task.object)
        if not target.any():  # hidden behind the hand
            target = self._cells_around(env.object_position(self._task.object), 0.0, shape)
        if self._task.zone is not None:
            zone = env.scene.zone(self._task.zone)
            disc = self._cells_around((zone.x, zone.y, 0.0), ZONE_RADIUS_M, shape)
            weights = np.where(disc & ~target, 0.0, weights)
        peak = np.unravel_index(int(weights.argmax()), shape)
        distance = _cells_between(peak, target)
        others = [_cells_between(peak, cells) for cells in shown.values()]
        return distance <= min(NEAR_CELLS, *others)

    def _cells_around(
        self, centre: ArrayLike, radius_m: float, shape: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Return the cells (gh, gw) that show a disc parallel to the table."""
        camera = self._env.camera
        angles = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
        outline = camera.project(np.asarray(centre) + radius_m * circle)
        mask = np.zeros((camera.height, camera.width), np.uint8)
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], (1,))
        return cells_of(mask > 0, shape)


def cells_of(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the cells of a grid over the picture (h, w) in which any pixel is set."""
    cells = np.zeros(shape, bool)
    rows, columns = np.nonzero(mask)
    cells[rows * shape[0] // mask.shape[0], columns * shape[1] // mask.shape[1]] = True
    return cells


def _cells_between(cell: tuple[np.intp, ...], cells: NDArray[np.bool_]) -> float:
    """Return the steps, also diagonal ones, to the nearest of ``cells``."""
    where = np.argwhere(cells)
    return float(np.abs(where - cell).max(axis=1).min()) if len(where) else math.inf


def _length(vector: Array) -> float:
    return math.sqrt(vector @ vector)
