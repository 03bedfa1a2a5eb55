"""Whether a text belongs to an image, hard cases first: ALBEF (Li et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def mismatched(same: Tensor, random: torch.Generator, similarity: Tensor | None = None) -> Tensor:
    """
    Return for each of b images the place (b,) of a text that does not belong to it.

    Rows with an equal number in ``same`` (b,) int64 mean the same. With ``similarity`` (b, b) of
    images (rows) and texts, likelier texts are drawn more often, by its softmax. Raises
    ValueError if there is a row that all others mean the same as.
    """
    others = same[:, None] != same
    if not bool(others.any(dim=1).all()):
        raise ValueError('all texts of the batch belong to one of its images; mix more tasks')
    scores = torch.zeros(others.shape) if similarity is None else similarity.detach().float()
    chances = scores.masked_fill(~others, -torch.inf).softmax(dim=1)
    return torch.multinomial(chances, 1, generator=random).squeeze(1)


def matching_loss(matched: Tensor, not_matched: Tensor) -> Tensor:
    """Return the cross-entropy of logits of pairs (m,) and of no pairs (n,), each half of it."""
    return (functional.softplus(-matched).mean() + functional.softplus(not_matched).mean()) / 2.0
