"""
A camera without OpenGL: one ray a pixel through ``mj_multiRay``, shaded in numpy.

Every hit gets Lambert shading, a shadow found by a second cast from the lamp, and a soft
highlight. Pixels on the border of two geoms or of a shadow are cast again with 2 x 2 rays, so
edges are smooth at little cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_ros.interfaces import CameraModel

_FAR_M = 10.0
_SKY_RGB = np.array([0.74, 0.79, 0.86])
_SUBPIXELS = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))


@dataclass(frozen=True, eq=False)
class Frame:
    """
    One picture: ``rgb`` (h, w, 3) uint8, ``depth_m`` (h, w) float32 along the optical axis.

    ``geom_ids`` (h, w) int32 are MuJoCo's geoms behind the pixel centres, -1 for the sky.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    geom_ids: NDArray[np.int32]


class RayCamera:
    """Renders a MuJoCo scene from a fixed camera under one lamp."""

    def __init__(
        self, camera: CameraModel, light_position: tuple[float, float, float], ambient: float
    ) -> None:
        self.camera = camera
        self._light = np.asarray(light_position, dtype=np.float64)
        self._ambient = ambient
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        self._pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
        self._rays = camera.rays(self._pixels)

    def render(self, model: mujoco.MjModel, data: mujoco.MjData) -> Frame:
        h, w = self.camera.height, self.camera.width
        rgb, ids, lit, distance = self._shade(model, data, self._rays)
        border = _borders(ids.reshape(h, w)) | _borders(lit.reshape(h, w).astype(np.int32))
        edge = np.flatnonzero(border.ravel())
        if len(edge):
            rays = np.concatenate(
                [self.camera.rays(self._pixels[edge] + offset) for offset in _SUBPIXELS]
            )
            fine = self._shade(model, data, rays)[0]
            rgb[edge] = fine.reshape(len(_SUBPIXELS), len(edge), 3).mean(axis=0)
        forward = self.camera.base_from_camera.matrix()[:3, 2]
        depth = np.where(ids >= 0, distance * (self._rays @ forward), np.inf)
        return Frame(
            rgb=(np.clip(rgb, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8).reshape(h, w, 3),
            depth_m=depth.astype(np.float32).reshape(h, w),
            geom_ids=ids.reshape(h, w),
        )

    def _shade(
        self, model: mujoco.MjModel, data: mujoco.MjData, rays: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.bool_], NDArray[np.float64]]:
        """Return linear RGB (n, 3), geom ids (n,), whether lit (n,), distance (n,)."""
        origin = self.camera.base_from_camera.position
        ids, distance, normals = _cast(model, data, origin, rays)
        hit = ids >= 0
        points = origin + np.where(hit, distance, 0.0)[:, None] * rays
        to_light = self._light - points
        light_distance = np.linalg.norm(to_light, axis=1)
        to_light /= light_distance[:, None]
        _, first, _ = _cast(model, data, self._light, -to_light)
        lit = hit & (first > light_distance - 2e-3)

        diffuse = np.clip(np.einsum('ij,ij->i', normals, to_light), 0.0, 1.0)
        halfway = to_light - rays
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        shine = np.clip(np.einsum('ij,ij->i', normals, halfway), 0.0, 1.0) ** 40
        # A little light from above keeps shadowed faces of one object apart.
        sky = 0.5 + 0.5 * normals[:, 2]
        light = self._ambient * (0.65 + 0.35 * sky) + (1.05 - self._ambient) * diffuse * lit
        rgb = model.geom_rgba[np.maximum(ids, 0), :3] * light[:, None]
        rgb += (0.18 * shine * lit)[:, None]
        rgb[~hit] = _SKY_RGB
        return rgb, ids, lit, distance


def _cast(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    origin: NDArray[np.float64],
    rays: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    n = len(rays)
    ids = np.empty(n, dtype=np.int32)
    distance = np.empty(n, dtype=np.float64)
    normals = np.zeros((n, 3), dtype=np.float64)
    mujoco.mj_multiRay(
        model, data, origin, rays.ravel(), None, True, -1, ids, distance, normals.reshape(-1), n,
        _FAR_M,
    )  # fmt: skip
    distance[ids < 0] = np.inf
    normals[ids < 0] = 0.0
    return ids, distance, normals


def _borders(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (h, w): the pixels whose right or lower neighbour, or upper or left, differs."""
    border = np.zeros(labels.shape, dtype=bool)
    across = labels[:, 1:] != labels[:, :-1]
    along = labels[1:] != labels[:-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:] |= along
    border[:-1] |= along
    return border
