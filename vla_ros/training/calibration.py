"""
When to say "that is not there": a threshold set on scenes that were not trained on.

It lets little pass of what is asked for and is not there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.models.policies.keypoint import KeypointPolicy
from vla_ros.training.batches import Batches

#: Of what is not in the picture so much may look likelier there than not, before what is said
#: counts (see ``models.grounding``). With less, things that the hand half hides would be lost.
_MISTAKEN = 0.07


@torch.inference_mode()
def calibrate(policy: KeypointPolicy, batches: Batches, steps: int) -> None:
    """
    Set the threshold of ``policy`` from ``steps`` batches of frames that are new to it.

    Raises ConfigurationError if everything is there.
    """
    policy.eval()
    absent = torch.cat([_look(policy, batches, step) for step in range(steps)]).numpy()
    if not len(absent):
        raise ConfigurationError('validation needs what is not there: raise batch.absent_share')
    policy.min_presence.fill_(float(np.quantile(absent, 1.0 - _MISTAKEN)))


def _look(policy: KeypointPolicy, batches: Batches, step: int) -> Tensor:
    """Return how surely the policy sees things and zones that are not there."""
    batch = batches.batch(step)
    decision = policy.decide(policy.see(batch.image), batch.meaning, batch.state)
    return torch.cat(
        [
            torch.sigmoid(decision.object_there_logit[batch.object_there == 0]),
            torch.sigmoid(decision.zone_there_logit[batch.zone_there == 0]),
        ]
    )
