"""
A camera without OpenGL: one ray a pixel through ``mj_multiRay``, shaded in numpy.

Every hit gets Lambert shading, a shadow found by a second cast from the lamp, and a soft
highlight. Pixels on the border of two geoms or of a shadow are cast again with 2 x 2 rays, so
edges are smooth at little cost. Only rays are cast again that something that moved is near, on
their way from the camera or to the lamp.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Array
from vla_ros.interfaces import CameraModel

_FAR_M = 10.0
#: What moved less than so much, and turned less than so many rad, did not move.
_MOVED_M, _MOVED_RAD = 1e-8, 1e-8
#: Spheres around geoms are taken to be so much larger: rounding must hide nothing.
_MARGIN_M = 1e-4
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
    """Renders one MuJoCo scene, given by its model, from a fixed camera under one lamp."""

    def __init__(
        self, camera: CameraModel, light_position: tuple[float, float, float], ambient: float
    ) -> None:
        self.camera = camera
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        self._rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64))
        lamp = np.asarray(light_position, dtype=np.float64)
        self._whole = _Rays(camera, np.zeros((1, 2)), lamp, ambient)
        self._fine = _Rays(camera, np.array(_SUBPIXELS), lamp, ambient)

    def render(self, model: mujoco.MjModel, data: mujoco.MjData) -> Frame:
        h, w = self.camera.height, self.camera.width
        whole, fine = self._whole, self._fine
        whole.cast(model, data, np.arange(h * w))
        ids, rgb = whole.ids.copy(), whole.rgb.copy()
        border = _borders(ids.reshape(h, w)) | _borders(whole.lit.reshape(h, w).astype(np.int32))
        edge = np.flatnonzero(border.ravel())
        if len(edge):
            within = (np.arange(len(_SUBPIXELS))[:, None] * (h * w) + edge).ravel()
            fine.cast(model, data, within)
            rgb[edge] = fine.rgb[within].reshape(len(_SUBPIXELS), len(edge), 3).mean(axis=0)
        forward = self.camera.base_from_camera.matrix()[:3, 2]
        depth = np.where(ids >= 0, whole.distance * (self._rays @ forward), np.inf)
        return Frame(
            rgb=(np.clip(rgb, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8).reshape(h, w, 3),
            depth_m=depth.astype(np.float32).reshape(h, w),
            geom_ids=ids.reshape(h, w),
        )


class _Rays:
    """
    What n rays meet under a lamp: at each of the offsets (o, 2), one through every pixel there.

    ``rgb`` (n, 3) linear, ``ids`` (n,) of geoms, ``lit`` (n,) and
    ``distance`` (n,) m: up to date for the rays that were asked for last.
    """

    def __init__(self, camera: CameraModel, offsets: Array, lamp: Array, ambient: float) -> None:
        n = len(offsets) * camera.height * camera.width
        self._camera, self._offsets, self._lamp, self._ambient = camera, offsets, lamp, ambient
        self._origin = camera.base_from_camera.position
        # Unit vectors along the rays, and from the lamp to what they meet.
        self._along, self._from_lamp = np.zeros((2, n, 3), np.float32)
        self._is_known = np.zeros(n, bool)
        self._spheres: _Spheres | None = None
        self.rgb = np.zeros((n, 3))
        self.ids = np.zeros(n, np.int32)
        self.lit = np.zeros(n, bool)
        self.distance = np.zeros(n)

    def cast(self, model: mujoco.MjModel, data: mujoco.MjData, rays: NDArray[np.int64]) -> None:
        """Bring the rays of these indices up to date."""
        if self._spheres is None:
            self._spheres = _Spheres(model, data)
        moved = self._spheres.moved(data)
        known = rays[self._is_known[rays]]
        near = _near(self._origin, self._along[known], *moved)
        near[~near] = _near(self._lamp, self._from_lamp[known[~near]], *moved)
        # Whatever nobody asks for now would have to be looked after.
        self._is_known[:] = False
        self._is_known[known[~near]] = True
        new = rays[~self._is_known[rays]]
        if len(new):
            self._shade(model, data, new)
            self._is_known[new] = True

    def _shade(self, model: mujoco.MjModel, data: mujoco.MjData, rays: NDArray[np.int64]) -> None:
        offset, pixel = np.divmod(rays, self._camera.height * self._camera.width)
        v, u = np.divmod(pixel, self._camera.width)
        along = self._camera.rays(np.stack([u, v], axis=1) + self._offsets[offset])
        ids, distance, normals = _cast(model, data, self._origin, along)
        hit = ids >= 0
        points = self._origin + np.where(hit, distance, 0.0)[:, None] * along
        to_lamp = self._lamp - points
        lamp_distance = np.linalg.norm(to_lamp, axis=1)
        to_lamp /= lamp_distance[:, None]
        _, first, _ = _cast(model, data, self._lamp, -to_lamp)
        lit = hit & (first > lamp_distance - 2e-3)

        diffuse = np.clip(np.einsum('ij,ij->i', normals, to_lamp), 0.0, 1.0)
        halfway = to_lamp - along
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        shine = np.clip(np.einsum('ij,ij->i', normals, halfway), 0.0, 1.0) ** 40
        # A little light from above keeps shadowed faces of one object apart.
        sky = 0.5 + 0.5 * normals[:, 2]
        light = self._ambient * (0.65 + 0.35 * sky) + (1.05 - self._ambient) * diffuse * lit
        rgb = model.geom_rgba[np.maximum(ids, 0), :3] * light[:, None]
        rgb += (0.18 * shine * lit)[:, None]
        rgb[~hit] = _SKY_RGB
        self.rgb[rays], self.ids[rays], self.lit[rays] = rgb, ids, lit
        self.distance[rays], self._from_lamp[rays] = distance, -to_lamp
        self._along[rays] = along


class _Spheres:
    """Spheres around all geoms, several along a capsule, to tell where something moved."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        geoms, along, radii = [], [], []
        for geom in range(model.ngeom):
            radius, half = model.geom_size[geom, :2]
            if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE:
                count = int(np.ceil(half / radius))
                along += [half * ((2 * i + 1) / count - 1.0) for i in range(count)]
                radii += [radius + half / count] * count
            else:
                count = 1
                along.append(0.0)
                radii.append(model.geom_rbound[geom])
            geoms += [geom] * count
        self._geoms, self._along, self._radii = np.array(geoms), np.array(along), np.array(radii)
        self._positions, self._axes = data.geom_xpos.copy(), data.geom_xmat.copy()

    def moved(self, data: mujoco.MjData) -> tuple[Array, Array]:
        """Return spheres around all that moved since the last call: centres (s, 3), radii (s,)."""
        moved = np.abs(data.geom_xpos - self._positions).max(axis=1) > _MOVED_M
        moved |= np.abs(data.geom_xmat - self._axes).max(axis=1) > _MOVED_RAD
        those = moved[self._geoms]
        before = self._centres(those)
        self._positions[moved], self._axes[moved] = data.geom_xpos[moved], data.geom_xmat[moved]
        after = self._centres(those)
        way = np.linalg.norm(after - before, axis=1)
        return (before + after) / 2.0, self._radii[those] + way / 2.0

    def _centres(self, those: NDArray[np.bool_]) -> Array:
        geoms = self._geoms[those]
        lengthwise = self._axes[geoms].reshape(-1, 3, 3)[:, :, 2]
        return self._positions[geoms] + self._along[those, None] * lengthwise


def _near(
    origin: Array, along: NDArray[np.float32], centres: Array, radii: Array
) -> NDArray[np.bool_]:
    """Return (n,): which rays along unit vectors (n, 3) meet any of the spheres (s, 3), (s,)."""
    to_centre = centres - origin
    # A ray meets a sphere if it lies in the cone around it.
    squares = np.einsum('ij,ij->i', to_centre, to_centre) - (radii + _MARGIN_M) ** 2
    reach = np.where(squares > 0.0, np.sqrt(np.maximum(squares, 0.0)), -np.inf)
    # Not a matrix product, which would wake up threads.
    rows = np.ascontiguousarray(along.T)
    lengthwise = np.einsum('sj,jn->sn', to_centre.astype(np.float32), rows)
    return np.any(lengthwise > reach.astype(np.float32)[:, None], axis=0)


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
