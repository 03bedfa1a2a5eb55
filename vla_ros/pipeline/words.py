"""
The words of a command as the policy read them, and how much of its attention each one has.

Plane i of the attention belongs to token i. Tokens are pieces of words, or stand for none; and
rare words were replaced before (``pipeline.lexicon``). So words are made of the pieces that were
encoded, never of the text that was typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.geometry import Array

#: Whose attention to show: that of all words, of the one that has most, or of a word by its place
#: in the command, from 0 (a number as text).
ALL, PEAK = 'all', 'peak'

#: Tokens of the encoder that stand for no word.
_SPECIAL = frozenset({'[CLS]', '[SEP]', '[PAD]'})
#: A token whose word the encoder does not know, and what is shown for it.
_UNKNOWN, _UNKNOWN_SHOWN = '[UNK]', '[?]'
#: In front of a piece that continues a word (WordPiece).
_CONTINUES = '##'


@dataclass(frozen=True)
class Word:
    """A word as it was read, and its tokens: indices of the planes of the attention."""

    text: str
    tokens: tuple[int, ...]


def words_of(pieces: Sequence[str]) -> tuple[Word, ...]:
    """Return the words that the ``pieces``, one a token, are of; those of no word are left out."""
    words: list[Word] = []
    for i, piece in enumerate(pieces):
        if piece in _SPECIAL:
            continue
        if piece.startswith(_CONTINUES) and words and words[-1].tokens[-1] == i - 1:
            before = words.pop()
            words.append(Word(before.text + piece[len(_CONTINUES) :], (*before.tokens, i)))
        else:
            words.append(Word(_UNKNOWN_SHOWN if piece == _UNKNOWN else piece, (i,)))
    return tuple(words)


def unnamed_words(tokens: int) -> tuple[Word, ...]:
    """Return a word a token, by number, for commands whose pieces nobody told."""
    return tuple(Word(f'#{i}', (i,)) for i in range(tokens))


def word_shares(words: Sequence[Word], planes: Array) -> Array:
    """
    Return each word's share (w,) of all attention in ``planes`` (n, gh, gw), 0 without any.

    They sum to one but for what tokens that stand for no word have.
    """
    by_token = planes.sum(axis=(1, 2))
    total = by_token.sum()
    shares = np.array([by_token[list(word.tokens)].sum() for word in words])
    return shares / total if total > 0.0 else np.zeros(len(words))


def word_plane(word: Word, planes: Array) -> Array:
    """Return the attention (gh, gw) of one word."""
    return planes[list(word.tokens)].sum(axis=0)


def reading(words: Sequence[Word]) -> str:
    """Return the command as it was read."""
    return ' '.join(word.text for word in words)


def differs(read: str, typed: str) -> bool:
    """Return whether the policy ``read`` other words than were ``typed``, case and marks apart."""
    return _letters(read) != _letters(typed)


def _letters(text: str) -> str:
    return ''.join(c for c in text.casefold() if c.isalnum())
