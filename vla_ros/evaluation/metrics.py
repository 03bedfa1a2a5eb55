"""What to ask of a model beside success: retrieval, generation, balance, fairness, honesty."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_ros.evaluation.statistics import Difference, Rate
from vla_ros.geometry import Array

Meanings = Sequence[Hashable]


@dataclass(frozen=True)
class Recall:
    """How often something right is among the first k, each way; ``chance`` is that of a guess."""

    k: int
    text_of_image: Rate
    image_of_text: Rate
    chance: float


def retrieval(images: ArrayLike, texts: ArrayLike, meanings: Meanings, k: int = 1) -> Recall:
    """
    Return the recall at ``k`` of n pairs of embeddings (n, d), by their cosine.

    Rows with an equal meaning are right for each other. Raises ValueError as ``recall_at``.
    """
    similarity = _unit(images) @ _unit(texts).T
    return Recall(
        k,
        recall_at(k, similarity, meanings, meanings),
        recall_at(k, similarity.T, meanings, meanings),
        chance_of_recall(k, meanings, meanings),
    )


def recall_at(k: int, similarity: ArrayLike, queries: Meanings, items: Meanings) -> Rate:
    """
    Return how often one of the ``k`` most similar items means what the query means.

    ``similarity`` (q, m) of queries and items, with their meanings. Ties are taken to be lost:
    a model that finds all alike recalls nothing. Raises ValueError for a similarity that is not
    finite and for a query that no item belongs to.
    """
    scores, right = np.asarray(similarity, dtype=np.float64), _right(queries, items)
    if scores.shape != right.shape or not np.isfinite(scores).all():
        raise ValueError(f'similarities are {right.shape} and finite, got {scores.shape}')
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    ahead = (~right & (scores >= best)).sum(axis=1)
    return Rate.of(int((ahead < k).sum()), len(scores))


def chance_of_recall(k: int, queries: Meanings, items: Meanings) -> float:
    """Return the recall that items in random order would have; raises ValueError as above."""
    right = _right(queries, items).sum(axis=1)
    m = len(items)
    missed = [math.comb(m - int(r), min(k, m)) / math.comb(m, min(k, m)) for r in right]
    return 1.0 - float(np.mean(missed))


@dataclass(frozen=True)
class Generation:
    """How near what was generated came: mean square error, and mean cosine of the rows."""

    mean_squared_error: float
    cosine: float


def generation(generated: ArrayLike, wanted: ArrayLike) -> Generation:
    """Compare rows (n, ...) of what was generated and wanted; a row of zeros has a cosine of 0."""
    one, other = (np.asarray(x, dtype=np.float64) for x in (generated, wanted))
    if one.shape != other.shape or one.size == 0:
        raise ValueError(f'generated {one.shape} and wanted {other.shape} differ, or are empty')
    one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
    cosine = (_unit(one) * _unit(other)).sum(axis=1).mean()
    return Generation(float(np.square(one - other).mean()), float(cosine))


@dataclass(frozen=True)
class ModalityUse:
    """
    What a modality is worth: how much success falls without it, and its share of the gradient.

    A loss near 0 beside a large share, or the other way round, is worth a look.
    """

    without: Rate
    loss: Difference
    gradient_share: float


def modality_balance(
    whole: Sequence[bool],
    without: Mapping[str, Sequence[bool]],
    attributions: Mapping[str, ArrayLike],
) -> dict[str, ModalityUse]:
    """
    Return the use of each modality.

    ``whole`` are the successes with all of them, ``without`` those of the same trials with one of
    them masked; ``attributions`` are gradient times input, (b, ...) in any shape: their absolute
    values sum to the share, so that neither units nor the number of tokens matter. Raises
    ValueError unless both name the same modalities, and in as many trials.
    """
    if without.keys() != attributions.keys():
        raise ValueError(f'success without {sorted(without)}, gradients of {sorted(attributions)}')
    sizes = {name: float(np.abs(np.asarray(x)).sum()) for name, x in attributions.items()}
    total = sum(sizes.values())
    return {
        name: ModalityUse(
            Rate.of(sum(won), len(won)),
            Difference.of_pairs(whole, won),
            sizes[name] / total if total else 0.0,
        )
        for name, won in without.items()
    }


def success_by(groups: Sequence[str], successes: Sequence[bool]) -> dict[str, Rate]:
    """Return the success of the trials of each group, by name in order."""
    pairs = list(zip(groups, successes, strict=True))
    return {
        group: Rate.of(sum(won for name, won in pairs if name == group), groups.count(group))
        for group in sorted(set(groups))
    }


@dataclass(frozen=True)
class Gap:
    """The groups that a policy serves best and worst, and how far apart they are."""

    best: str
    worst: str
    difference: Difference


def largest_gap(rates: Mapping[str, Rate], confidence: float = 0.95) -> Gap:
    """
    Return the largest gap between groups; those without trials do not count.

    Its interval holds for all pairs of groups at once (Bonferroni): of many pairs the one that
    was picked for its size would else look worse than it is. Raises ValueError for less than two.
    """
    tried = {name: rate for name, rate in rates.items() if rate.n}
    pairs = len(list(combinations(tried, 2)))
    if not pairs:
        raise ValueError(f'a gap needs two groups with trials, got {sorted(tried)}')
    best = max(tried, key=lambda name: tried[name].success)
    worst = min((n for n in tried if n != best), key=lambda name: tried[name].success)
    sure = 1.0 - (1.0 - confidence) / pairs
    ends = [Rate.of(tried[n].success * tried[n].n, tried[n].n, sure) for n in (best, worst)]
    return Gap(best, worst, Difference.of(*ends))


@dataclass(frozen=True)
class CalibrationBin:
    """Forecasts of much the same probability: their mean, and how often it came true."""

    predicted: float
    happened: Rate


@dataclass(frozen=True)
class Calibration:
    """
    How honest probabilities are.

    ``brier`` is the mean squared error (Brier 1950), ``expected_error`` the mean distance
    between what was predicted and what happened in the bins (Naeini et al. 2015), of which the
    empty ones are left out.
    """

    brier: float
    expected_error: float
    bins: tuple[CalibrationBin, ...]

    def worst(self, least: int = 30) -> CalibrationBin | None:
        """
        Return the bin, of those with at least so many forecasts, that is furthest from the truth.

        The mean does not show it where most forecasts are of what is plain. None if there is none.
        """
        enough = [b for b in self.bins if b.happened.n >= least]
        return max(enough, key=lambda b: abs(b.predicted - b.happened.success), default=None)


def calibration(probabilities: ArrayLike, happened: ArrayLike, bins: int = 10) -> Calibration:
    """
    Compare probabilities (n,), such as that of being done, with what happened (n,) bool.

    Bins are of one width. Raises ValueError for none, or for what is no probability.
    """
    p, true = np.asarray(probabilities, dtype=np.float64), np.asarray(happened, dtype=bool)
    if p.ndim != 1 or p.shape != true.shape or not p.size or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f'got probabilities {p.shape} of {true.shape} events; they are in 0..1')
    place = np.minimum((p * bins).astype(int), bins - 1)
    members = [place == i for i in range(bins) if (place == i).any()]
    filled = tuple(
        CalibrationBin(float(p[m].mean()), Rate.of(int(true[m].sum()), int(m.sum())))
        for m in members
    )
    wrong = sum(b.happened.n * abs(b.predicted - b.happened.success) for b in filled) / len(p)
    return Calibration(float(np.square(p - true).mean()), wrong, filled)


def _unit(rows: ArrayLike) -> Array:
    vectors = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0.0, length, 1.0)


def _right(queries: Meanings, items: Meanings) -> NDArray[np.bool_]:
    """Return (q, m): which items mean what which queries mean."""
    right = np.array([[query == item for item in items] for query in queries], dtype=bool)
    if not right.size or not right.any(axis=1).all():
        raise ValueError('every query needs an item that means the same')
    return right
