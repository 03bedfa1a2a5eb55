"""How a reader of commands is taught: by sentences alone, whatever the pictures."""

from __future__ import annotations

import torch
from torch.nn import functional

from vla_ros.models.text.reader import Reader, Reading
from vla_ros.training.augment import augment_text
from vla_ros.training.sentences import by_length, SentenceBatch

#: Sentences are read in so many parts, for padding costs as much as words do.
_PARTS = 8


def read_noisily(
    reader: Reader, sentences: SentenceBatch, random: torch.Generator
) -> tuple[Reading, SentenceBatch]:
    """Return what the reader makes of sentences with noise, and these in the same order."""
    ordered = by_length(sentences)
    readings = []
    for text, mask in zip(*(x.chunk(_PARTS) for x in ordered[:2]), strict=True):
        n = int(mask.sum(dim=1).max())
        reading = reader(*augment_text(text[:, :n], mask[:, :n], random))
        words = functional.pad(reading.words, (0, text.shape[1] - n))
        readings.append(reading._replace(words=words))
    return Reading(*(torch.cat(logits) for logits in zip(*readings, strict=True))), ordered
