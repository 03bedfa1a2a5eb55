"""
One trunk that acts and answers questions about the picture (Gato, Reed et al. 2022).

A question is text like a command. What the trunk has to see to answer it, it sees as well when
it acts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vla_ros.models.heads.vqa import VqaHead
from vla_ros.models.policies.fusion_policy import FusionConfig, FusionPolicy
from vla_ros.models.registry import PolicySpec, register_policy

#: Answers that come before the colours, which are those of the PolicySpec in its order.
PLAIN_ANSWERS = ('no', 'yes', 'nothing')


@dataclass(frozen=True)
class MultitaskConfig(FusionConfig):
    """Those of a policy for a fusion."""


@register_policy('multitask', MultitaskConfig)
class MultitaskPolicy(FusionPolicy):
    """See the module; scriptable, under the policy contract."""

    def __init__(self, spec: PolicySpec, config: MultitaskConfig) -> None:
        super().__init__('early', spec, config)
        self.vqa = VqaHead(config.width, config.heads, len(PLAIN_ANSWERS) + spec.colours)

    @torch.jit.export
    def reply(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Tensor:
        """Return logits (b, answers) of the answers to questions, given as commands are."""
        fused = self.perceive(image, text, text_mask, state).fused
        return self.vqa(fused.tokens, fused.mask)
