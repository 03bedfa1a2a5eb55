"""
Language, vision and action as one sequence of tokens, a loss for each (RT-2, Brohan et al. 2023).

Each is a mean over its own tokens: else the many tokens of an image would drown the few of an
action. Their weights are those of ``multitask.weighted_sum``.
"""

from __future__ import annotations

from enum import IntEnum

from torch import Tensor
from torch.nn import functional

from vla_ros.training.losses.rows import mean_known


class TokenKind(IntEnum):
    """What a token is of; padding is never guessed."""

    PADDING = 0
    LANGUAGE = 1
    VISION = 2
    ACTION = 3


def token_losses(logits: Tensor, wanted: Tensor, kinds: Tensor) -> dict[str, Tensor]:
    """
    Return the cross-entropies of the tokens of ``language``, ``vision`` and ``action``, by name.

    ``logits`` (b, n, v) at each place are for the token ``wanted`` (b, n) int64 there: the one
    that comes next. ``kinds`` (b, n) are the TokenKind of ``wanted``.
    """
    known = wanted.masked_fill(kinds == TokenKind.PADDING, 0)
    loss = functional.cross_entropy(logits.flatten(0, 1), known.flatten(), reduction='none')
    loss = loss.view_as(wanted)
    return {
        kind.name.lower(): mean_known(loss, kinds == kind)
        for kind in (TokenKind.LANGUAGE, TokenKind.VISION, TokenKind.ACTION)
    }
