"""What the rows of a batch ask for, in words: a sentence of the bank for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_ros.errors import ConfigurationError
from vla_ros.models.meaning import Meaning
from vla_ros.training.grammar import (
    ANY,
    MEANT_COLOURS,
    MEANT_SHAPES,
    MEANT_TASKS,
    MEANT_ZONES,
    OTHER,
)
from vla_ros.training.sentences import SentenceBank

_ANY = np.array([MEANT_COLOURS.index(ANY), MEANT_SHAPES.index(ANY)])
_OTHER = np.array(
    [MEANT_COLOURS.index(OTHER), MEANT_SHAPES.index(OTHER), MEANT_ZONES.index(OTHER)]
)
#: Classes of task, colour, shape and zone, and one each for nothing said.
_SIZES = [1 + len(m) for m in (MEANT_TASKS, MEANT_COLOURS, MEANT_SHAPES, MEANT_ZONES)]


class Spoken:
    """The sentences of a bank by what they mean."""

    def __init__(self, bank: SentenceBank) -> None:
        keys = _keys(bank.classes)
        self._order = np.argsort(keys, kind='stable')
        self._keys = keys[self._order]
        self._unclear = np.flatnonzero(is_unclear(bank.classes))

    def rows(
        self, meaning: Meaning, chance: NDArray[np.float64], unclear: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """
        Return the rows (r,) of the bank that say what ``meaning`` (r,) asks for.

        ``chance`` (r,) in 0..1 draws one of those that mean the same. Where ``unclear`` (r,), it
        is one that leaves open what is meant instead. Raises ConfigurationError where the bank
        has no such sentence.
        """
        classes = _classes(meaning)
        keys = _keys(classes)
        first = np.searchsorted(self._keys, keys, 'left')
        count = np.searchsorted(self._keys, keys, 'right') - first
        missing = np.flatnonzero((count == 0) & ~unclear)
        if len(missing) or (unclear.any() and not len(self._unclear)):
            sought = _told(classes[missing[0]]) if len(missing) else 'what nobody can tell'
            raise ConfigurationError(
                f'none of {len(self._keys)} sentences means {sought}: set sentences to more'
            )
        chosen = self._order[np.where(unclear, 0, first + (chance * count).astype(int))]
        if unclear.any():
            drawn = (chance * len(self._unclear)).astype(int)
            chosen = np.where(unclear, self._unclear[drawn], chosen)
        return chosen


def is_unclear(classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (r,): of which meanings (r, 4) nobody can tell which thing or place is meant."""
    open_both = (classes[:, 1:3] == _ANY).all(axis=1)
    return open_both | (classes[:, 1:] == _OTHER).any(axis=1)


def _classes(meaning: Meaning) -> NDArray[np.int64]:
    """Return (r, 4) places among the MEANT words, -1 where nothing is to be said."""
    classes = np.stack([part.numpy() for part in meaning], axis=1)
    classes[:, 1:3] = np.where(classes[:, 1:3] < 0, _ANY, classes[:, 1:3])
    classes[classes[:, 0] == 0, 1:] = -1
    return classes


def _keys(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (r,): one number for each meaning (r, 4)."""
    return np.ravel_multi_index(tuple(classes.T + 1), _SIZES)


def _told(classes: NDArray[np.int64]) -> str:
    meant = (MEANT_TASKS, MEANT_COLOURS, MEANT_SHAPES, MEANT_ZONES)
    return ' '.join(m[i] for m, i in zip(meant, classes, strict=True) if i >= 0)
