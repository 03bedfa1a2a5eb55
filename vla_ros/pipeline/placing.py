"""
Where in the world the cells of an image are: on the measured depth, else on a plane.

Rows and columns count cells; (0, 0) is the centre of the first one. Points are in the base frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_ros.geometry import Array
from vla_ros.interfaces import CameraModel

#: A cell seen near the horizon would lie anywhere; farther than this it is left out.
MAX_RANGE_M = 3.0

Shape = tuple[int, int]
#: (h, w) metres along the optical axis, NaN where unknown; of the uncropped frame.
Depth = NDArray[np.float32]


def pixels_of(rows: ArrayLike, columns: ArrayLike, shape: Shape, camera: CameraModel) -> Array:
    """Return pixels (..., 2) of grid coordinates."""
    grid_rows, grid_columns = shape
    u = (np.asarray(columns) + 0.5) * camera.width / grid_columns - 0.5
    v = (np.asarray(rows) + 0.5) * camera.height / grid_rows - 0.5
    return np.stack(np.broadcast_arrays(u, v), axis=-1)


def place(
    rows: ArrayLike,
    columns: ArrayLike,
    shape: Shape,
    camera: CameraModel,
    plane_m: float,
    depth: Depth | None = None,
) -> Array:
    """
    Return points (n, 3) that grid coordinates (n,) look at.

    They lie on the surface that ``depth`` tells, and where it tells none on the plane
    z = ``plane_m``. NaN where a ray misses the plane or meets it beyond ``MAX_RANGE_M``.
    """
    pixels = pixels_of(rows, columns, shape, camera).reshape(-1, 2)
    points = camera.on_plane(pixels, plane_m)
    if depth is not None:
        half_cell = camera.width / shape[1] / 2.0, camera.height / shape[0] / 2.0
        measured = _on_surface(pixels, half_cell, camera, depth)
        points = np.where(np.isfinite(measured), measured, points)
    distance = np.linalg.norm(points - camera.base_from_camera.position, axis=1)
    return np.where((distance <= MAX_RANGE_M)[:, None], points, np.nan)


def place_cells(
    shape: Shape, camera: CameraModel, plane_m: float, depth: Depth | None = None
) -> tuple[Array, tuple[float, float]]:
    """
    Return the cells' centres (gh * gw, 3), as ``place`` does, and their usual size along x and y.

    The size in metres is the median over the cells, seen on the plane.
    """
    grid_rows, grid_columns = shape
    rows, columns = np.mgrid[0:grid_rows, 0:grid_columns]
    centres = place(rows.ravel(), columns.ravel(), shape, camera, plane_m, depth)
    corner_rows, corner_columns = np.mgrid[0 : grid_rows + 1, 0 : grid_columns + 1] - 0.5
    corners = place(corner_rows.ravel(), corner_columns.ravel(), shape, camera, plane_m)
    corners = corners.reshape(grid_rows + 1, grid_columns + 1, 3)[..., :2]
    four = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]])
    extent = np.ptp(four, axis=0).reshape(-1, 2)
    seen = extent[np.isfinite(extent).all(axis=1)]
    size = np.median(seen, axis=0) if len(seen) else np.zeros(2)
    return centres, (float(size[0]), float(size[1]))


def _on_surface(
    pixels: Array, half_cell: tuple[float, float], camera: CameraModel, depth: Depth
) -> Array:
    """Return the points (n, 3) at the median depth around ``pixels`` (n, 2), NaN where unknown."""
    across = np.array([-0.5, 0.0, 0.5])
    offsets = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2) * half_cell
    depth_m = _median(_samples(depth, pixels[:, None] + offsets, camera))
    rays = camera.rays(pixels)
    along_axis = rays @ camera.base_from_camera.matrix()[:3, 2]
    return camera.base_from_camera.position + (depth_m / along_axis)[:, None] * rays


def _samples(depth: Depth, pixels: Array, camera: CameraModel) -> Array:
    """Return the depth at pixels (..., 2) of ``camera``, a centre crop of the frame, resized."""
    height, width = depth.shape
    scale = max(camera.width / width, camera.height / height)
    cropped = (np.array([width, height]) * scale - (camera.width, camera.height)) / 2.0
    raw = np.rint((pixels + 0.5 + cropped) / scale - 0.5).astype(int)
    u, v = raw[..., 0].clip(0, width - 1), raw[..., 1].clip(0, height - 1)
    sampled = depth[v, u].astype(np.float64)
    return np.where(sampled > 0.0, sampled, np.nan)


def _median(values: Array) -> Array:
    """Return the lower median (n,) of the finite values in each row of (n, k), NaN of none."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1)
    return ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
