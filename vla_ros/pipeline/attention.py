"""
Where the policy looks: attention over image cells as weights, colours and pictures.

Everything here is bounded and finite whatever the attention holds: NaN, infinite and negative
weights count as none. ``words`` and ``look`` say which word it is of, ``placing`` where in the
world it is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_ros.geometry import Array

#: A finer grid is made coarser, so that one message or picture stays small.
MAX_CELLS = 1600
#: Opacity of the heaviest cell.
MAX_ALPHA = 0.7

#: Every sixteenth colour of inferno (N. Smith, S. van der Walt, matplotlib 1.5, CC0), RGB. It is
#: perceptually uniform: equal steps of attention look equally large. Linear in between, it is
#: within 0.03 of the original.
_INFERNO = np.array(
    [
        (0.001, 0.000, 0.014),
        (0.042, 0.028, 0.141),
        (0.129, 0.047, 0.291),
        (0.238, 0.037, 0.396),
        (0.342, 0.062, 0.429),
        (0.441, 0.099, 0.432),
        (0.541, 0.135, 0.415),
        (0.640, 0.171, 0.381),
        (0.736, 0.216, 0.330),
        (0.822, 0.275, 0.266),
        (0.894, 0.353, 0.194),
        (0.947, 0.449, 0.115),
        (0.978, 0.558, 0.035),
        (0.988, 0.675, 0.065),
        (0.975, 0.798, 0.206),
        (0.948, 0.917, 0.411),
        (0.988, 0.998, 0.645),
    ]
)


def usable(attention: ArrayLike) -> Array:
    """
    Return the planes (n, gh, gw) with 0 for NaN, infinite and negative weights.

    Raises ValueError for another shape or no cells.
    """
    planes = np.asarray(attention, dtype=np.float64)
    if planes.ndim != 3 or planes.size == 0:
        raise ValueError(f'attention has shape {planes.shape}, not (tokens, rows, columns)')
    largest = 1e300 / planes.size  # so that every sum is finite
    return np.clip(np.where(np.isfinite(planes), planes, 0.0), 0.0, largest)


def cell_weights(attention: ArrayLike) -> Array:
    """
    Return the attention (gh, gw) of all tokens together, summing to one.

    ``attention`` is (n, gh, gw). Without any weight it is uniform. At most ``MAX_CELLS`` cells:
    larger grids are summed in blocks. Raises ValueError for another shape or no cells.
    """
    total = _in_blocks(usable(attention).sum(axis=0))
    peak = total.max()
    if not peak > 0.0:
        return np.full(total.shape, 1.0 / total.size)
    relative = total / peak
    return relative / relative.sum()


def relative(weights: Array) -> Array:
    """Return the weights over the heaviest one, in [0, 1]."""
    return weights / weights.max()


def colours(shares: ArrayLike) -> Array:
    """Return RGBA (..., 4) in [0, 1] for shares in [0, 1]: heavier is brighter and more opaque."""
    share = np.clip(np.nan_to_num(np.asarray(shares, dtype=np.float64)), 0.0, 1.0)
    knots = np.linspace(0.0, 1.0, len(_INFERNO))
    rgb = [np.interp(share, knots, _INFERNO[:, i]) for i in range(3)]
    return np.stack([*rgb, MAX_ALPHA * share], axis=-1)


def peak(weights: Array) -> tuple[float, float]:
    """Return (row, column) of the heaviest cell, refined by the weights around it."""
    row, column = (int(i) for i in np.unravel_index(weights.argmax(), weights.shape))
    top, left = max(row - 1, 0), max(column - 1, 0)
    around = weights[top : row + 2, left : column + 2]
    rows, columns = np.mgrid[top : top + around.shape[0], left : left + around.shape[1]]
    total = around.sum()
    return float((rows * around).sum() / total), float((columns * around).sum() / total)


def entropy(weights: Array) -> float:
    """Return how spread the attention is: 0 all in one cell, 1 the same everywhere."""
    if weights.size < 2:
        return 0.0
    p = weights[weights > 0.0] / weights.sum()
    nats = float(-(p * np.log(p)).sum())
    return min(max(0.0, nats / math.log(weights.size)), 1.0)


#: Of 256 shares, RGB (256, 1, 3).
_PALETTE = np.rint(255.0 * colours(np.linspace(0.0, 1.0, 256))[:, None, :3]).astype(np.uint8)


def overlay(image: NDArray[np.uint8], weights: Array, min_side_px: int = 384) -> NDArray[np.uint8]:
    """
    Return ``image`` (h, w, 3) RGB under a smooth heat map of ``weights`` (gh, gw).

    Small images are enlarged by a whole number, so that their shorter side is ``min_side_px``.
    """
    height, width = image.shape[:2]
    scale = max(1, math.ceil(min_side_px / min(height, width)))
    size = (width * scale, height * scale)
    large = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    heat = cv2.resize(relative(weights).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    share = np.clip(heat, 0.0, 1.0)
    coloured = cv2.applyColorMap((255.0 * share).astype(np.uint8), _PALETTE)
    opacity = MAX_ALPHA * share
    # As colours do, in one pass over the picture.
    blended = cv2.blendLinear(large, coloured, 1.0 - opacity, opacity)
    return np.asarray(blended, dtype=np.uint8)


def _in_blocks(total: Array) -> Array:
    """Return the sums over blocks of equal area, few enough to be ``MAX_CELLS``."""
    rows, columns = total.shape
    share = math.sqrt(MAX_CELLS / total.size)
    if share >= 1.0:
        return total
    fewer_rows = min(max(1, int(rows * share)), MAX_CELLS)
    # A long and narrow grid must not stay too long.
    fewer_columns = min(max(1, int(columns * share)), MAX_CELLS // fewer_rows)
    area = total.size / (fewer_rows * fewer_columns)
    fewer = cv2.resize(total, (fewer_columns, fewer_rows), interpolation=cv2.INTER_AREA)
    return area * np.asarray(fewer, dtype=np.float64)
