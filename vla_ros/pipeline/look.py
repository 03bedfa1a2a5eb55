"""What to show of the attention of one frame: which map, how spread it is, and the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Array
from vla_ros.pipeline.attention import cell_weights, entropy, usable
from vla_ros.pipeline.words import (
    ALL,
    PEAK,
    unnamed_words,
    Word,
    word_plane,
    word_shares,
    words_of,
)

#: Attention more spread than this tells little: over a grid of 24 x 24 it is like an even spread
#: over more than 45 of the 576 cells.
DIFFUSE_ABOVE = 0.6


@dataclass(frozen=True, eq=False)
class Look:
    """
    The attention of one frame, ready to be drawn.

    ``weights`` (gh, gw) sum to one: the map to show, which ``title`` names. ``spread`` is its
    entropy, 0 (one cell) to 1 (everywhere the same). ``shares`` (w,) is how much of all attention
    each of the ``words`` has; ``chosen`` is the word whose map it is, None for all words.
    """

    weights: Array
    spread: float
    words: tuple[Word, ...]
    shares: Array
    chosen: int | None
    title: str

    @property
    def is_diffuse(self) -> bool:
        return self.spread > DIFFUSE_ABOVE

    @property
    def top_word(self) -> int | None:
        """Return which word has most attention; None if none has any."""
        return int(self.shares.argmax()) if self.shares.any() else None


def look_at(attention: NDArray[np.float32], pieces: Sequence[str] = (), word: str = ALL) -> Look:
    """
    Return what to show of ``attention`` (n, gh, gw), plane i being of token i.

    ``pieces`` are those of the command, or () where nobody told; ``word`` is ALL, PEAK or a
    number. Raises ValueError if the attention has another shape.
    """
    planes = usable(attention)
    words = words_of(pieces) if len(pieces) == len(planes) else unnamed_words(len(planes))
    shares = word_shares(words, planes)
    chosen = None
    if word == PEAK and shares.any():
        chosen = int(shares.argmax())
    elif word.isdecimal() and int(word) < len(words):
        chosen = int(word)
    title = 'all words' if chosen is None else f'"{words[chosen].text}"'
    if word.isdecimal() and chosen is None:
        title += f', for there is no word {word}'
    shown = planes if chosen is None else word_plane(words[chosen], planes)[None]
    weights = cell_weights(shown)
    return Look(weights, entropy(weights), words, shares, chosen, title)


def check_word(word: str) -> str:
    """Return ``word`` if it can be asked for; raises ConfigurationError."""
    if word in (ALL, PEAK) or (word.isdecimal() and word.isascii()):
        return word
    raise ConfigurationError(
        f'word is {word!r}; valid: {ALL}, {PEAK} (the word with most attention), or the number '
        'of a word, from 0'
    )
