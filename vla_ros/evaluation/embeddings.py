"""Pictures of what a model learned: where its embeddings lie, and which codes it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import ArrayLike  # noqa: E402

from vla_ros.geometry import Array  # noqa: E402


def principal_plane(points: ArrayLike) -> tuple[Array, Array]:
    """
    Return points (n, d) on the plane that tells most of them apart, (n, 2), and its shares (2,).

    A share is that of the variance of the points along an axis of the plane: what the picture
    does not show is the rest. Raises ValueError for less than two points or two dimensions.
    """
    x = np.asarray(points, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(f'a plane needs points (n, d), two of each at least, got {x.shape}')
    x = x - x.mean(axis=0)
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    # A singular vector has no sign of its own: the farthest point is on the positive side.
    on_plane = left[:, :2] * sizes[:2]
    farthest = np.abs(on_plane).argmax(axis=0)
    on_plane = on_plane * np.where(on_plane[farthest, [0, 1]] < 0.0, -1.0, 1.0)
    variance = np.square(sizes)
    return on_plane, variance[:2] / max(variance.sum(), np.finfo(float).tiny)


def draw_embeddings(
    points: ArrayLike,
    labels: Sequence[str],
    picture_path: Path,
    colours: Mapping[str, tuple[float, float, float]] | None = None,
) -> None:
    """
    Draw embeddings (n, d) on their principal plane, each label in a colour of its own.

    ``colours`` has those of labels that mean one, red, green and blue in 0 .. 1.
    """
    on_plane, shares = principal_plane(points)
    figure, axis = pyplot.subplots(figsize=(6.4, 4.8), layout='constrained')
    names = np.array(labels)
    for label in sorted(set(labels)):
        x, y = on_plane[names == label].T
        axis.scatter(x, y, s=12, alpha=0.7, label=label, color=(colours or {}).get(label))
    axis.set_xlabel(f'{100 * shares[0]:.0f} % of the variance')
    axis.set_ylabel(f'{100 * shares[1]:.0f} % of the variance')
    axis.grid(alpha=0.3)
    figure.legend(loc='outside right upper')
    figure.savefig(picture_path, dpi=100)
    pyplot.close(figure)


def draw_codebook(shares: ArrayLike, picture_path: Path) -> None:
    """Draw the share of the tokens (codes,) that each code has, the most used one first."""
    falling = np.sort(np.asarray(shares, dtype=np.float64))[::-1]
    figure, axis = pyplot.subplots(figsize=(6.4, 3.2), layout='constrained')
    axis.bar(np.arange(len(falling)), 100.0 * falling, width=1.0)
    axis.axhline(100.0 / len(falling), color='black', linewidth=1, linestyle='--')
    axis.set_title(f'{(falling > 0.0).sum()} of {len(falling)} codes in use; dashed: all alike')
    axis.set_xlabel('code, by its use')
    axis.set_ylabel('% of the tokens')
    figure.savefig(picture_path, dpi=100)
    pyplot.close(figure)
