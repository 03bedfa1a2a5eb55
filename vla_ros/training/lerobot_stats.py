"""
Statistics of features as LeRobot keeps them: of each episode, and joined over all of them.

A statistic has the shape of the feature: (d,) of vectors, (1,) of scalars, and (3, 1, 1) of
pictures, whose values are scaled to 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

QUANTILES = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
#: So many pixels of a row or column stand for one: enough for statistics.
_PIXEL_STRIDE = 4

#: Statistics by feature, then by name, as nested lists for JSON and parquet.
Stats = Mapping[str, Mapping[str, list]]


def feature_stats(values: NDArray) -> dict[str, list]:
    """Return the statistics of a feature (n,) or (n, d) over its n frames."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    computed = {
        'min': rows.min(axis=0),
        'max': rows.max(axis=0),
        'mean': rows.mean(axis=0),
        'std': rows.std(axis=0),
        **dict(zip(QUANTILES, np.quantile(rows, list(QUANTILES.values()), axis=0), strict=True)),
    }
    return {**{name: value.tolist() for name, value in computed.items()}, 'count': [len(rows)]}


def image_stats(images: NDArray[np.uint8]) -> dict[str, list]:
    """Return the statistics of each channel of pictures (n, h, w, 3) uint8."""
    some = images[:, ::_PIXEL_STRIDE, ::_PIXEL_STRIDE].reshape(-1, 3)
    stats = feature_stats(some / 255.0)
    shaped = {name: [[[v]] for v in value] for name, value in stats.items() if name != 'count'}
    return {**shaped, 'count': [len(images)]}


def aggregate(episodes: Sequence[Stats]) -> dict[str, dict[str, list]]:
    """
    Return the statistics of all episodes together.

    Quantiles are the mean of those of the episodes, weighted by frames, as in LeRobot.
    """
    return {name: _joined([stats[name] for stats in episodes]) for name in episodes[0]}


def _joined(parts: Sequence[Mapping[str, list]]) -> dict[str, list]:
    stacked = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    counts = stacked['count'].reshape(-1)
    share = counts / counts.sum()

    def weighted(values: NDArray) -> NDArray:
        return np.tensordot(share, values, axes=1)

    mean = weighted(stacked['mean'])
    joined = {
        'min': stacked['min'].min(axis=0),
        'max': stacked['max'].max(axis=0),
        'mean': mean,
        'std': np.sqrt(weighted(stacked['std'] ** 2 + (stacked['mean'] - mean) ** 2)),
        **{name: weighted(stacked[name]) for name in QUANTILES},
        'count': counts.sum(keepdims=True),
    }
    return {name: value.tolist() for name, value in joined.items()}
