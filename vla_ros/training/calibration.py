"""
When to say "I do not know": thresholds set on sentences and scenes that were not trained on.

Words: as much is refused as leaves nearly all that is rightly read of known phrasings. Pictures:
the threshold at which Youden's index (1950) is largest keeps most of what is there and refuses
most of what is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.models.policies.keypoint import KeypointPolicy
from vla_ros.training.batches import Batches
from vla_ros.training.grammar import ANY, MEANT_COLOURS, MEANT_SHAPES
from vla_ros.training.sentences import SentenceBank

#: Of the sentences that are read rightly so many are to be obeyed.
_KEPT = 0.99
_BATCH = 500


def best_threshold(kept: NDArray, refused: NDArray) -> float:
    """Return the score above which most of ``kept`` and fewest of ``refused`` (n,) lie."""
    options = np.unique(np.concatenate([kept, refused]))
    options = np.concatenate([options, (options[1:] + options[:-1]) / 2.0])
    shares = [(kept > option).mean() - (refused > option).mean() for option in options]
    return float(options[int(np.argmax(shares))])


@torch.inference_mode()
def calibrate(policy: KeypointPolicy, bank: SentenceBank, batches: Batches, steps: int) -> None:
    """
    Set the thresholds of ``policy`` from sentences and ``steps`` batches of frames, all new to it.

    Raises ConfigurationError if no sentence is read rightly, or all or nothing is there.
    """
    policy.eval()
    scores, right = zip(
        *(_read(policy, bank, start) for start in range(0, len(bank), _BATCH)), strict=True
    )
    score, is_right = torch.cat(scores).numpy(), torch.cat(right).numpy()
    if not is_right.any():
        raise ConfigurationError('the policy reads no sentence rightly: train it for more steps')
    policy.min_certainty.fill_(float(np.quantile(score[is_right], 1.0 - _KEPT)))
    seen, there = zip(*(_look(policy, batches, step) for step in range(steps)), strict=True)
    score, is_there = torch.cat(seen).numpy(), torch.cat(there).numpy()
    if is_there.all() or not is_there.any():
        raise ConfigurationError(
            'validation needs what is there and what is not: set batch.absent_share to 0.1 or so'
        )
    policy.min_presence.fill_(best_threshold(score[is_there], score[~is_there]))


def _read(policy: KeypointPolicy, bank: SentenceBank, start: int) -> tuple[Tensor, Tensor]:
    """Return how certain the policy is of commands, and whether it reads them rightly."""
    batch = bank.batch(np.arange(start, min(start + _BATCH, len(bank))))
    reading = policy.reader(batch.text, batch.text_mask)
    meaning = policy.meant(reading)
    certainty = policy.certainty(reading, policy.names_zone[meaning.task])
    open_colour, open_shape = MEANT_COLOURS.index(ANY), MEANT_SHAPES.index(ANY)
    right = meaning.task == batch.task
    right &= torch.where(meaning.colour < 0, open_colour, meaning.colour) == batch.colour
    right &= torch.where(meaning.shape < 0, open_shape, meaning.shape) == batch.shape
    right &= (meaning.zone == batch.zone) | (batch.zone < 0)
    asks = (batch.task > 0) & (meaning.task > 0)
    return certainty[asks], right[asks]


def _look(policy: KeypointPolicy, batches: Batches, step: int) -> tuple[Tensor, Tensor]:
    """Return how sure the policy is that what is named is there, and whether it is."""
    batch = batches.batch(step)
    decision = policy.decide(policy.see(batch.image), batch.meaning, batch.state)
    presence = policy.presence(decision, policy.names_zone[batch.meaning.task])
    there = (batch.object_there == 1) & ~(batch.zone_there == 0)
    asks = batch.meaning.task > 0
    return presence[asks], there[asks]
