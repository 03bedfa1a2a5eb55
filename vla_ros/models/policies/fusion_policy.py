"""
A policy for each fusion: senses in front of it, a head behind it, and nothing else.

The fusion gives the policy its name and its attention: see ``models.fusion``. A head reads the
chunk from the fused tokens, a classifier the task or the reason to refuse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.fusion.registry import build_fusion, fusion_names
from vla_ros.models.fusion.tokens import Fused
from vla_ros.models.heads.chunk import chunk_actions, ParallelChunkHead
from vla_ros.models.heads.classifier import TaskClassifier
from vla_ros.models.heads.flow_chunk import FlowChunkHead
from vla_ros.models.heads.recurrent_chunk import RecurrentChunkHead
from vla_ros.models.policies.senses import SensesConfig, SensingPolicy
from vla_ros.models.registry import PolicySpec, register_policy

_CHUNK_HEADS = {
    'chunk': ParallelChunkHead,
    'recurrent': RecurrentChunkHead,
    'flow': FlowChunkHead,
}


@dataclass(frozen=True)
class FusionConfig(SensesConfig):
    """``head``: chunk, recurrent or flow; ``fusion``: options of the fusion."""

    fusion: Mapping[str, Any] = field(default_factory=dict)
    head: str = 'chunk'


class FusionPolicy(SensingPolicy):
    """See the module; scriptable, under the policy contract."""

    def __init__(self, fusion: str, spec: PolicySpec, config: FusionConfig) -> None:
        super().__init__(spec, config)
        if config.head not in _CHUNK_HEADS:
            raise ValueError(f'got head {config.head!r}, expected {", ".join(_CHUNK_HEADS)}')
        width, heads = config.width, config.heads
        self.fusion = build_fusion(fusion, width, {'heads': heads, **config.fusion})
        self.head = _CHUNK_HEADS[config.head](
            width, heads, spec.horizon, spec.workspace_min, spec.workspace_max
        )
        self.task = TaskClassifier(width, heads, len(spec.tasks))

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        return self.answer(self.fuse(image, text, text_mask, state))

    def fuse(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Fused:
        vision, words, robot = self.senses(image, text, text_mask, state)
        return self.fusion(vision, words, robot)

    def answer(self, fused: Fused) -> PolicyOutput:
        """Return what the fused tokens say."""
        chunk = self.head(fused.tokens, fused.mask)
        return PolicyOutput(
            chunk_actions(chunk),
            torch.sigmoid(chunk.termination_logit),
            self.task(fused.tokens, fused.mask),
            self.senses.on_grid(fused.attention),
        )

    def learn(
        self,
        image: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: Tensor,
        actions: Tensor,
        done: Tensor,
    ) -> tuple[PolicyOutput, dict[str, Tensor]]:
        """Add the balance of experts, and flow matching."""
        fused = self.fuse(image, text, text_mask, state)
        output, losses = self.answer(fused), {'balance': fused.auxiliary_loss}
        if isinstance(self.head, FlowChunkHead):
            losses['flow'] = _flow_loss(self.head, fused, actions, done)
            # The flow is taught where it goes from, not through the steps of following it.
            output = output._replace(
                actions=output.actions.detach(), termination=output.termination.detach()
            )
        return output, losses


def _flow_loss(head: FlowChunkHead, fused: Fused, actions: Tensor, done: Tensor) -> Tensor:
    """Return the mean loss () of the rows of chunks that are known."""
    target = head.to_rows(actions, done)
    known = target.isfinite().all(dim=-1)  # (b, k)
    loss = head.loss(fused.tokens, fused.mask, target.nan_to_num(), torch.default_generator)
    return (loss * known).sum() / known.sum().clamp(min=1)


def register_fusions() -> None:
    """Make a policy of every fusion known by the fusion's name."""
    for name in fusion_names():
        register_policy(name, FusionConfig)(partial(FusionPolicy, name))
