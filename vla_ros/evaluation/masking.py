"""A policy without one of the things that it is given."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.pipeline.policy import TorchPolicy

MODALITIES = ('vision', 'text', 'state')

#: In place of a picture: grey. In place of a state: the middle of the table, pointing down, open.
_GREY = 127
_ANYWHERE = (0.45, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0, 0.0)


def without(policy: TorchPolicy, modality: str) -> TorchPolicy:
    """Return a policy that is never given one of ``MODALITIES``; raises ValueError for others."""
    if modality not in MODALITIES:
        raise ValueError(f'no modality {modality!r}; valid: {", ".join(MODALITIES)}')

    def module(image: Tensor, text: Tensor, mask: Tensor, state: Tensor) -> PolicyOutput:
        if modality == 'vision':
            image = torch.full_like(image, _GREY)
        elif modality == 'text':
            text, mask = torch.zeros_like(text), torch.zeros_like(mask)
        else:
            state = torch.tensor(_ANYWHERE).expand_as(state)
        return policy.module(image, text, mask, state)

    return TorchPolicy(policy.manifest, module)
