"""Words that were hidden are to be guessed from the others: BERT (Devlin et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vla_ros.training.losses.rows import class_loss


@dataclass(frozen=True)
class WordMasking:
    """
    Which share of the words is to be guessed, and what stands there instead, as published.

    Of those, ``hidden`` become the mask, ``swapped`` any word, and the others stay.
    """

    share: float = 0.15
    hidden: float = 0.8
    swapped: float = 0.1


def mask_words(
    ids: Tensor,
    maskable: Tensor,
    mask_id: int,
    vocabulary: int,
    random: torch.Generator,
    masking: WordMasking | None = None,
) -> tuple[Tensor, Tensor]:
    """
    Return what the model reads (b, n) and what it is to guess (b, n) int64, -1 for nothing.

    ``ids`` (b, n) are below ``vocabulary``; where ``maskable`` (b, n) bool is false, as for
    padding and marks of the tokenizer, they are left alone.
    """
    masking = masking or WordMasking()
    chosen = (torch.rand(ids.shape, generator=random) < masking.share) & maskable
    fate = torch.rand(ids.shape, generator=random)
    anything = torch.randint(vocabulary, ids.shape, generator=random)
    read = torch.where(chosen & (fate < masking.hidden), mask_id, ids)
    swapped = chosen & (fate >= masking.hidden) & (fate < masking.hidden + masking.swapped)
    return torch.where(swapped, anything, read), torch.where(chosen, ids, -1)


def masked_language_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the cross-entropy of logits (b, n, v) where ``wanted`` (b, n) is not -1."""
    return class_loss(logits.flatten(0, 1), wanted.flatten())
