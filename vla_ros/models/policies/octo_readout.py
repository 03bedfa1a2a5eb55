"""
Readout tokens (Octo, Ghosh et al. 2024): they see everything, and nothing sees them.

Words, cells and state work on each other as if there were no readouts. So heads can be added or
changed later, with readouts of their own, and what was learned before stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.fusion.perceiver import words_by_readers
from vla_ros.models.fusion.tokens import all_joined, Entrance
from vla_ros.models.heads.chunk import chunk_actions
from vla_ros.models.heads.classifier import TaskClassifier
from vla_ros.models.heads.waypoint import WaypointHead
from vla_ros.models.layers.prefix import PrefixTransformer
from vla_ros.models.policies.senses import Answer, gaze_at, SensesConfig, SensingPolicy
from vla_ros.models.registry import PolicySpec, register_policy


@dataclass(frozen=True)
class OctoReadoutConfig(SensesConfig):
    """Sizes of the network; so many ``readouts`` are read by the heads."""

    layers: int = 4
    readouts: int = 4


@register_policy('octo_readout', OctoReadoutConfig)
class OctoReadoutPolicy(SensingPolicy):
    """See the module; scriptable, under the policy contract."""

    def __init__(self, spec: PolicySpec, config: OctoReadoutConfig) -> None:
        super().__init__(spec, config)
        width, heads = config.width, config.heads
        self.entrance = Entrance(width)
        self.sequence = PrefixTransformer(width, heads, config.layers)
        self.readouts = nn.Parameter(torch.randn(config.readouts, width) * 0.1)
        self.gaze = gaze_at(spec, config)
        self.chunk = WaypointHead(width, heads, spec)
        self.task = TaskClassifier(width, heads, len(spec.tasks))

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        return self.look_and_act(image, text, text_mask, state).output

    def look_and_act(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> Answer:
        vision, words, robot = self.senses(image, text, text_mask, state)
        seen, said, felt = self.entrance(vision, words, robot)
        prefix = all_joined(seen, said, felt)
        readouts = self.readouts.expand(text.shape[0], -1, -1)
        read, weights = self.sequence(prefix.tokens, prefix.mask, readouts, causal=False)
        attention = words_by_readers(weights, seen, said)
        there = torch.ones_like(read[:, :, 0], dtype=torch.bool)
        looks = self.gaze(attention, words, vision.tokens)
        task_logits = self.task(read)
        chunk = self.chunk(read, there, looks, task_logits, state)
        output = PolicyOutput(
            chunk_actions(chunk),
            torch.sigmoid(chunk.termination_logit),
            task_logits,
            self.senses.on_grid(attention),
        )
        return Answer(output, looks)
