"""
Poses and quaternions with numpy.

Conventions (REP 103): metres, radians, right-handed frames, quaternions ordered (x, y, z, w).
Matrices are named ``target_from_source``: ``p_target = target_from_source @ p_source``.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def normalised(quaternion: ArrayLike) -> Array:
    """Return the unit quaternion along ``quaternion`` (4,); raises ValueError for a zero one."""
    q = np.asarray(quaternion, dtype=np.float64)
    norm = math.sqrt(q.dot(q))
    if not norm > 1e-9:
        raise ValueError(f'quaternion {q.tolist()} has no direction')
    return q / norm


def quaternion_multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """Return the Hamilton product: the rotation ``b`` followed by ``a``."""
    ax, ay, az, aw = np.asarray(a, dtype=np.float64)
    bx, by, bz, bw = np.asarray(b, dtype=np.float64)
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def quaternion_conjugate(q: ArrayLike) -> Array:
    """Return the inverse rotation of a unit quaternion."""
    return np.asarray(q, dtype=np.float64) * np.array([-1.0, -1.0, -1.0, 1.0])


def quaternion_from_axis_angle(axis: ArrayLike, angle_rad: float) -> Array:
    unit = np.asarray(axis, dtype=np.float64)
    unit = unit / np.linalg.norm(unit)
    return np.append(unit * np.sin(angle_rad / 2.0), np.cos(angle_rad / 2.0))


def quaternion_to_matrix(q: ArrayLike) -> Array:
    """Return the (3, 3) rotation matrix of a unit quaternion."""
    x, y, z, w = np.asarray(q, dtype=np.float64)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(rotation: ArrayLike) -> Array:
    """Return the unit quaternion (w >= 0) of a (3, 3) rotation matrix (Shepperd, 1978)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, dtype=np.float64).tolist()
    # Four times the product of each pair: the row of the largest part has the least rounding.
    rows = (
        (1.0 + xx - yy - zz, xy + yx, zx + xz, zy - yz),
        (xy + yx, 1.0 - xx + yy - zz, yz + zy, xz - zx),
        (zx + xz, yz + zy, 1.0 - xx - yy + zz, yx - xy),
        (zy - yz, xz - zx, yx - xy, 1.0 + xx + yy + zz),
    )
    x, y, z, w = max(zip(rows, range(4), strict=True), key=lambda row: row[0][row[1]])[0]
    scale = math.copysign(1.0 / math.sqrt(x * x + y * y + z * z + w * w), w)
    return np.array([scale * x, scale * y, scale * z, scale * w])


def angle_between(a: ArrayLike, b: ArrayLike) -> float:
    """Return the rotation angle in [0, pi] that takes the unit quaternion ``a`` to ``b``."""
    x, y, z, w = quaternion_multiply(b, quaternion_conjugate(a))
    return float(2.0 * np.arctan2(np.sqrt(x * x + y * y + z * z), abs(w)))


def slerp(a: ArrayLike, b: ArrayLike, fraction: float) -> Array:
    """Return the unit quaternion at ``fraction`` of the shortest arc from ``a`` to ``b``."""
    qa, qb = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    dot = float(qa @ qb)
    if dot < 0.0:
        qb, dot = -qb, -dot
    if dot > 0.9995:  # nearly parallel: the arc is a line and sin(theta) would lose digits
        return normalised(qa + fraction * (qb - qa))
    theta = np.arccos(dot)
    return (np.sin((1 - fraction) * theta) * qa + np.sin(fraction * theta) * qb) / np.sin(theta)


@dataclass(frozen=True, eq=False)
class Pose:
    """A rigid pose: ``position`` (3,) in metres, unit ``quaternion`` (x, y, z, w)."""

    position: Array
    quaternion: Array

    @staticmethod
    def of(position: ArrayLike, quaternion: ArrayLike = (0.0, 0.0, 0.0, 1.0)) -> Pose:
        return Pose(np.asarray(position, dtype=np.float64), np.asarray(quaternion, np.float64))

    @staticmethod
    def from_matrix(target_from_source: ArrayLike) -> Pose:
        m = np.asarray(target_from_source, dtype=np.float64)
        return Pose(m[:3, 3].copy(), quaternion_from_matrix(m[:3, :3]))

    def matrix(self) -> Array:
        """Return the homogeneous (4, 4) matrix ``frame_from_pose``."""
        m = np.eye(4)
        m[:3, :3] = quaternion_to_matrix(self.quaternion)
        m[:3, 3] = self.position
        return m

    def vector(self) -> Array:
        """Return (7,): x, y, z, qx, qy, qz, qw."""
        return np.concatenate([self.position, self.quaternion])
