"""
A policy for each fusion: senses in front of it, a head behind it, and nothing else.

The fusion gives the policy its name and its attention: see ``models.fusion``. A head reads the
chunk from the fused tokens, a classifier the task or the reason to refuse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Optional

import torch
from torch import nn, Tensor

from vla_ros.models.contract import Learned, PolicyOutput
from vla_ros.models.fusion.registry import build_fusion, fusion_names
from vla_ros.models.fusion.tokens import Fused, Tokens
from vla_ros.models.heads.chunk import chunk_actions, ParallelChunkHead
from vla_ros.models.heads.classifier import TaskClassifier
from vla_ros.models.heads.flow_chunk import FlowChunkHead
from vla_ros.models.heads.recurrent_chunk import RecurrentChunkHead
from vla_ros.models.heads.waypoint import WaypointHead
from vla_ros.models.layers.gaze import Looks
from vla_ros.models.policies.senses import Answer, gaze_at, SensesConfig, SensingPolicy
from vla_ros.models.registry import PolicySpec, register_policy

_CHUNK_HEADS = {
    'chunk': ParallelChunkHead,
    'recurrent': RecurrentChunkHead,
    'flow': FlowChunkHead,
}


@dataclass(frozen=True)
class FusionConfig(SensesConfig):
    """``head``: waypoint, chunk, recurrent or flow; ``fusion``: options of the fusion."""

    fusion: Mapping[str, Any] = field(default_factory=dict)
    head: str = 'waypoint'


class Perceived(NamedTuple):
    """The tokens of the picture and of the words, and all of them fused."""

    vision: Tokens
    words: Tokens
    fused: Fused


class FusionPolicy(SensingPolicy):
    """See the module; scriptable, under the policy contract."""

    looks: Final[bool]  # whether the head is told what the words look at

    def __init__(self, fusion: str, spec: PolicySpec, config: FusionConfig) -> None:
        super().__init__(spec, config)
        valid = ('waypoint', *_CHUNK_HEADS)
        if config.head not in valid:
            raise ValueError(f'got head {config.head!r}, expected {", ".join(valid)}')
        width, heads = config.width, config.heads
        self.fusion = build_fusion(fusion, width, {'heads': heads, **config.fusion})
        self.looks = config.head == 'waypoint'
        if self.looks:
            self.gaze = gaze_at(spec, config)
            self.head: nn.Module = WaypointHead(width, heads, spec)
        else:
            self.head = _CHUNK_HEADS[config.head](
                width, heads, spec.horizon, spec.workspace_min, spec.workspace_max
            )
        self.task = TaskClassifier(width, heads, len(spec.tasks))

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        return self.answer(self.perceive(image, text, text_mask, state), state).output

    def perceive(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Perceived:
        vision, words, robot = self.senses(image, text, text_mask, state)
        return Perceived(vision, words, self.fusion(vision, words, robot))

    def answer(self, perceived: Perceived, state: Tensor) -> Answer:
        """Return what the fused tokens say."""
        vision, words, fused = perceived
        looks: Optional[Looks] = None  # noqa: UP045  as in Answer
        task_logits = self.task(fused.tokens, fused.mask)
        if self.looks:
            looks = self.gaze(fused.attention, words, vision.tokens)
            chunk = self.head(fused.tokens, fused.mask, looks, task_logits, state)
        else:
            chunk = self.head(fused.tokens, fused.mask)
        output = PolicyOutput(
            chunk_actions(chunk),
            torch.sigmoid(chunk.termination_logit),
            task_logits,
            self.senses.on_grid(fused.attention),
        )
        return Answer(output, looks)

    def learn(
        self,
        image: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: Tensor,
        actions: Tensor,
        done: Tensor,
    ) -> Learned:
        """Add the balance of experts, and flow matching."""
        perceived = self.perceive(image, text, text_mask, state)
        fused = perceived.fused
        output, looks = self.answer(perceived, state)
        losses = {'balance': fused.auxiliary_loss}
        if isinstance(self.head, FlowChunkHead):
            losses['flow'] = _flow_loss(self.head, fused, actions, done)
            # The flow is taught where it goes from, not through the steps of following it.
            output = output._replace(
                actions=output.actions.detach(), termination=output.termination.detach()
            )
        return Learned(output, losses, looks)


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
