"""Sentences and what they mean, encoded once: a reader of commands learns from them alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
import hashlib
import multiprocessing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor
from tqdm import tqdm

from vla_ros.paths import lexicon_path
from vla_ros.pipeline.lexicon import Lexicon, read_lexicon_file
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.training.grammar import (
    any_sentence,
    every_plain_sentence,
    MEANT_COLOURS,
    MEANT_SHAPES,
    MEANT_TASKS,
    MEANT_ZONES,
    Sentence,
    vocabulary,
)
from vla_ros.training.own_words import NO_WORDS, Words

_CLASSES = (MEANT_TASKS, MEANT_COLOURS, MEANT_SHAPES, MEANT_ZONES)
_PER_JOB = 2000


class SentenceBatch(NamedTuple):
    """
    b sentences: ``text`` (b, n, d), ``text_mask`` (b, n) bool, and what they mean.

    ``task``, ``colour``, ``shape``, ``zone`` (b,) int64 are places among the grammar's MEANT
    words, -1 where the sentence says nothing about it.
    """

    text: Tensor
    text_mask: Tensor
    task: Tensor
    colour: Tensor
    shape: Tensor
    zone: Tensor


def by_length(sentences: SentenceBatch) -> SentenceBatch:
    """Return the same sentences, the shortest first."""
    order = sentences.text_mask.sum(dim=1).argsort(stable=True)
    return SentenceBatch(*(part[order] for part in sentences))


@dataclass(frozen=True, eq=False)
class SentenceBank:
    """
    Encoded sentences.

    ``tokens`` (t, d) float16 are those of all sentences in a row; sentence i has ``lengths[i]`` of
    them from ``starts[i]`` on. ``classes`` (s, 4) int64 are as in SentenceBatch.
    """

    tokens: NDArray[np.float16]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    classes: NDArray[np.int64]

    def batch(self, rows: NDArray[np.int64]) -> SentenceBatch:
        """Return the sentences at ``rows`` (b,)."""
        text = np.zeros((len(rows), MAX_TOKENS, self.tokens.shape[1]), np.float32)
        lengths = self.lengths[rows]
        for out, start, length in zip(text, self.starts[rows], lengths, strict=True):
            out[:length] = self.tokens[start : start + length]
        mask = torch.arange(MAX_TOKENS)[None] < torch.from_numpy(lengths)[:, None]
        task, colour, shape, zone = torch.from_numpy(self.classes[rows]).unbind(dim=1)
        return SentenceBatch(torch.from_numpy(text), mask, task, colour, shape, zone)

    def __len__(self) -> int:
        return len(self.lengths)


def new_sentences(count: int, seed: int, words: Words = NO_WORDS) -> list[Sentence]:
    """Return ``count`` sentences of any kind in known phrasings, with ``words`` among them."""
    rng = np.random.default_rng(seed)
    return [any_sentence(rng, more=words) for _ in range(count)]


def make_sentences(
    count: int, seed: int, words: Words = NO_WORDS
) -> tuple[list[Sentence], list[Sentence]]:
    """
    Return ``count`` sentences to train on, with more ``words`` than the grammar's among them.

    Of the first half, all plain ones and then any, rare words are looked up, as they are when the
    policy runs. The other half is read as it is said, with words of the lexicon among it: so the
    reader learns what rare words are like, for those that no lexicon has.
    """
    looked_up = count - count // 2
    rng = np.random.default_rng((seed, 1))
    more = lexicon_words(read_lexicon_file(lexicon_path()))
    more |= {keys: [*more.get(keys, ()), *phrases] for keys, phrases in words.items()}
    return (
        [*every_plain_sentence(), *new_sentences(looked_up, seed, words)][:looked_up],
        [any_sentence(rng, more=more) for _ in range(count // 2)],
    )


def lexicon_words(lexicon: Lexicon) -> dict[tuple[str, ...], list[str]]:
    """
    Return what a lexicon says for each colour and shape, by the keys of the language's rules.

    Words of validation and test are left out, for they are to be new to the reader.
    """
    kept = vocabulary('validation') | vocabulary('test')
    words: dict[tuple[str, ...], list[str]] = {}
    for known, part, endings in (
        (lexicon.colours, 'colours', ('',)),
        (lexicon.things, 'colours', ('', ' coloured', ' colored')),
        (lexicon.shapes, 'shapes', ('',)),
    ):
        for word, meant in known.items():
            if word not in kept:
                words.setdefault((part, meant), []).extend(word + end for end in endings)
    return words


def encode_sentences(
    sentences: list[Sentence], workers: int, as_said: Sequence[Sentence] = ()
) -> SentenceBank:
    """Return the bank of ``sentences``, rare words looked up, and of others as they are said."""
    jobs = [
        ([sentence.text for sentence in some[i : i + _PER_JOB]], look_up)
        for some, look_up in ((sentences, True), (as_said, False))
        for i in range(0, len(some), _PER_JOB)
    ]
    context = multiprocessing.get_context('spawn')  # fork does not go with threads of torch
    with ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
        done = pool.map(_encode, *zip(*jobs, strict=True))
        bar = tqdm(done, total=len(jobs), desc='sentences', unit='job')
        tokens = [features for job in bar for features in job]
    lengths = np.array([len(features) for features in tokens])
    return SentenceBank(
        np.concatenate(tokens),
        np.cumsum(lengths) - lengths,
        lengths,
        _classes([*sentences, *as_said]),
    )


def sentence_bank(
    folder: Path, count: int, seed: int, workers: int, words: Words = NO_WORDS
) -> SentenceBank:
    """
    Return the training sentences kept in ``folder``, as ``make_sentences`` makes them.

    They are encoded if they, or the text encoder, are not those that were kept.
    """
    looked_up, as_said = make_sentences(count, seed, words)
    sentences = [*looked_up, *as_said]
    path = _bank_path(folder, sentences)
    if not path.exists():
        bank = encode_sentences(looked_up, workers, as_said)
        partial = path.with_suffix('.partial')
        with partial.open('wb') as file:
            np.savez(file, tokens=bank.tokens, lengths=bank.lengths)
        partial.replace(path)
    with np.load(path) as data:
        lengths = data['lengths']
        return SentenceBank(
            data['tokens'], np.cumsum(lengths) - lengths, lengths, _classes(sentences)
        )


def bank_path(folder: Path, count: int, seed: int, words: Words = NO_WORDS) -> Path:
    """Return where ``sentence_bank`` keeps these very sentences, of this text encoder."""
    looked_up, as_said = make_sentences(count, seed, words)
    return _bank_path(folder, [*looked_up, *as_said])


def kept_banks(folder: Path) -> set[Path]:
    """Return where sentences are kept in a folder."""
    return set(folder.glob('sentences-*.npz'))


def _bank_path(folder: Path, sentences: list[Sentence]) -> Path:
    texts = '\n'.join([load_text_encoder().sha256, *(s.text for s in sentences)])
    return folder / f'sentences-{hashlib.sha256(texts.encode()).hexdigest()[:12]}.npz'


def _encode(texts: list[str], look_up: bool) -> list[NDArray[np.float16]]:
    encoder = load_text_encoder()
    return [features.astype(np.float16) for features in encoder.encode_all(texts, look_up)]


def _classes(sentences: list[Sentence]) -> NDArray[np.int64]:
    return np.array(
        [
            [
                -1 if said is None else classes.index(said)
                for said, classes in zip(astuple(sentence.meaning), _CLASSES, strict=True)
            ]
            for sentence in sentences
        ]
    )
