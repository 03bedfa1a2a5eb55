"""
When the policy says "I do not know", and what that costs: its ROC.

Refusing more easily refuses more of what cannot be done, and more of what can. Some sorts of
commands are in known phrasings, others in those of validation. Phrasings of the test splits play
no part here, so that the threshold may be judged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from vla_ros.evaluation.rollouts import Roller  # noqa: E402
from vla_ros.evaluation.splits import (  # noqa: E402
    absent_object,
    absent_zone,
    KNOWN,
    known_task,
    Trial,
)
from vla_ros.evaluation.statistics import Rate  # noqa: E402
from vla_ros.interfaces import REFUSAL_THRESHOLD  # noqa: E402
from vla_ros.pipeline.command import is_stop  # noqa: E402
from vla_ros.sim.tasks import KINDS  # noqa: E402
from vla_ros.training.grammar import sentence, unrelated  # noqa: E402

_VALIDATION = 'validation'
Scores = Mapping[str, NDArray[np.float64]]


def _asked(rng: np.random.Generator, patterns: str, words: str) -> Trial:
    scene, task = known_task(KINDS[int(rng.integers(len(KINDS)))], rng)
    return Trial(scene, sentence(task, rng, patterns, words), task)


def _known(rng: np.random.Generator) -> Trial:
    return _asked(rng, *KNOWN)


def _unseen(rng: np.random.Generator) -> Trial:
    return _asked(rng, _VALIDATION, _VALIDATION)


def _unrelated(rng: np.random.Generator) -> Trial:
    return Trial(known_task('point', rng)[0], unrelated(rng, _VALIDATION), None)


def _impossible(rng: np.random.Generator) -> Trial:
    return (absent_object, absent_zone)[int(rng.integers(2))](rng)


#: Sorts of commands that should be understood, and that should be refused.
UNDERSTOOD: dict[str, Callable[[np.random.Generator], Trial]] = {
    'known phrasing': _known,
    'unseen phrasing': _unseen,
}
REFUSED: dict[str, Callable[[np.random.Generator], Trial]] = {
    'unrelated': _unrelated,
    'impossible': _impossible,
}


def refusal_scores(roller: Roller, count: int, seed: int) -> Scores:
    """Return (count,), how surely the policy refuses commands at first sight, by their sort."""
    scores = {}
    for number, (name, make) in enumerate({**UNDERSTOOD, **REFUSED}.items()):
        rng = np.random.default_rng((seed, number))
        values: list[float] = []
        while len(values) < count:
            trial = make(rng)
            if not is_stop(trial.text):  # those never reach the policy
                values.append(roller.refusal(trial))
        scores[name] = np.array(values)
    return scores


def refused_rates(scores: Scores) -> dict[str, Rate]:
    """Return the share of each sort that is refused at the threshold."""
    return {
        name: Rate.of(int((values > REFUSAL_THRESHOLD).sum()), len(values))
        for name, values in scores.items()
    }


def roc(
    positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of negatives and positives at or above each threshold, falling."""
    thresholds = np.concatenate([[np.inf], np.unique(np.concatenate([positive, negative]))[::-1]])
    wrong, right = (
        (values[None] >= thresholds[:, None]).mean(axis=1) for values in (negative, positive)
    )
    return wrong, right


def area(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Return the area under the ROC: how often a positive is above a negative, a tie half."""
    above, equal = positive[:, None] > negative, positive[:, None] == negative
    return float(above.mean() + 0.5 * equal.mean())


def draw_roc(scores: Scores, picture_path: Path) -> None:
    """Draw a curve for each sort to refuse against each to understand, and the threshold."""
    figure, axes = pyplot.subplots(1, len(REFUSED), figsize=(8.4, 4.0), layout='constrained')
    for axis, name in zip(axes, REFUSED, strict=True):
        for other in UNDERSTOOD:
            positive, negative = scores[name], scores[other]
            wrong, right = roc(positive, negative)
            label = f'{other} ({area(positive, negative):.3f})'
            (line,) = axis.plot(wrong, right, label=label)
            point = [(values > REFUSAL_THRESHOLD).mean() for values in (negative, positive)]
            axis.plot(*point, 'o', color=line.get_color())
        axis.set_title(f'commands to refuse: {name}')
        axis.set_xlabel('share refused of those to understand')
        axis.set_ylabel('share refused')
        axis.legend(title='to understand (area)', loc='lower right')
        axis.grid(alpha=0.3)
    figure.savefig(picture_path, dpi=100)
    pyplot.close(figure)
