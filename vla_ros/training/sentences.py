"""Many sentences for every task, encoded once: text costs nothing while training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vla_ros.interfaces import NO_TASK, TextEncoder
from vla_ros.models.export import write_atomically
from vla_ros.sim.scene import COLOURS, OBJECT_NAMES
from vla_ros.sim.tasks import KINDS, Task
from vla_ros.training.grammar import plain_sentence, sentence, SPLITS, unrelated

#: Key of the sentences that are no task.


def every_task() -> list[Task]:
    """Return each task that any scene can ask for."""
    return [
        Task(kind, name, zone)
        for kind in KINDS
        for name in OBJECT_NAMES
        for zone in (COLOURS if kind in ('push', 'put') else (None,))
    ]


class SentenceBank:
    """
    Sentences by task key, with their token features.

    ``features`` (s, n, d) float16, padded with zeros; ``lengths`` (s,) says how many are tokens.
    """

    def __init__(
        self,
        texts: dict[str, list[str]],
        rows: dict[str, list[int]],
        features: NDArray[np.float16],
        lengths: NDArray[np.int64],
    ) -> None:
        self.texts = texts
        self.features = features
        self.lengths = lengths
        self._rows = {key: np.array(value) for key, value in rows.items()}

    def draw(self, key: str, rng: np.random.Generator) -> int:
        """Return the row of a random sentence for a task key, or for ``NO_TASK``."""
        rows = self._rows[key]
        return int(rows[rng.integers(len(rows))])

    def tokens(self, row: int) -> NDArray[np.float32]:
        """Return (n, d), the token features of one sentence."""
        return self.features[row, : self.lengths[row]].astype(np.float32)


def make_sentences(per_object: int, seed: int) -> dict[str, list[str]]:
    """
    Return different training sentences by task key, the plainest first.

    ``per_object`` of them for each kind of task and object, shared among the zones.
    """
    rng = np.random.default_rng(seed)
    texts = {}
    for task in every_task():
        count = per_object if task.zone is None else per_object // len(COLOURS)
        chosen = {plain_sentence(task): None}  # a dict keeps the order
        while len(chosen) < count:
            chosen[sentence(task, rng)] = None
        texts[task.key] = list(chosen)
    texts[NO_TASK] = sorted({unrelated(rng, SPLITS[0]) for _ in range(1000)})
    return texts


def sentence_bank(
    folder: Path, encoder: TextEncoder, per_object: int, seed: int, max_tokens: int
) -> SentenceBank:
    """Return the bank kept in ``folder``; it is encoded there if it is not there yet."""
    texts = make_sentences(per_object, seed)
    try:
        if json.loads((folder / 'sentences.json').read_text()) == texts:
            return load_sentences(folder)
    except (OSError, ValueError):
        pass
    lines = sorted({text for some in texts.values() for text in some})
    encoded = [encoder.encode(line) for line in tqdm(lines, desc='sentences', unit='sentence')]
    features = np.zeros((len(lines), max_tokens, encoded[0].shape[1]), np.float16)
    for row, tokens in zip(features, encoded, strict=True):
        row[: len(tokens)] = tokens
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / 'sentences.npz',
        lines=np.array(lines),
        features=features,
        lengths=np.array([len(tokens) for tokens in encoded]),
    )
    # Last, for it says that the rest is complete.
    write_atomically(folder / 'sentences.json', json.dumps(texts).encode())
    return load_sentences(folder)


def load_sentences(folder: Path) -> SentenceBank:
    """Return the bank that ``sentence_bank`` left in ``folder``; raises OSError without one."""
    texts = json.loads((folder / 'sentences.json').read_text())
    with np.load(folder / 'sentences.npz') as data:
        row_of = {line: row for row, line in enumerate(data['lines'].tolist())}
        rows = {key: [row_of[text] for text in some] for key, some in texts.items()}
        return SentenceBank(texts, rows, data['features'], data['lengths'])
