"""
A sequence of what is seen, how many rows the move still takes, and the move itself.

The Decision Transformer (Chen et al. 2021) acts as was done where so much return was to come; it
is told the return. As in its successor for many games (Lee et al. 2022), this one guesses it
first: what is seen comes first, then the return-to-go, and the rows of the chunk after it. Every
row until the hand rests costs one, so the return-to-go is the negative of a number of rows, at
most those of a chunk: it tells how far a straight move is, nothing of how good one is. At work the
likeliest number is taken, and only training, which gives the right one, can ask for another.

Its history is one step long: the contract has no memory, and the nodes give one observation at
a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.fusion.perceiver import words_by_readers
from vla_ros.models.fusion.tokens import all_joined, Entrance
from vla_ros.models.heads.chunk import BoundedRows, chunk_actions, ROW
from vla_ros.models.layers.prefix import PrefixTransformer
from vla_ros.models.policies.senses import SensesConfig, SensingPolicy
from vla_ros.models.registry import PolicySpec, register_policy


@dataclass(frozen=True)
class DecisionTransformerConfig(SensesConfig):
    """Sizes of the network."""

    layers: int = 4


@register_policy('decision_transformer', DecisionTransformerConfig)
class DecisionTransformerPolicy(SensingPolicy):
    """See the module; scriptable, under the policy contract."""

    def __init__(self, spec: PolicySpec, config: DecisionTransformerConfig) -> None:
        super().__init__(spec, config)
        if spec.horizon < 2:
            raise ValueError(
                f'got a horizon of {spec.horizon}, expected 2 rows or more: one alone never has '
                'a number of rows to go'
            )
        width, heads = config.width, config.heads
        self.entrance = Entrance(width)
        self.sequence = PrefixTransformer(width, heads, config.layers)
        self.ask = nn.Parameter(torch.randn(width) * 0.1)
        self.rows = nn.Parameter(torch.randn(spec.horizon, width) * 0.1)
        # So many rows to go, or at least so many: the last one.
        self.to_go = nn.Embedding(spec.horizon, width)
        self.to_go_logits = nn.Linear(width, spec.horizon)
        self.to_task = nn.Linear(width, len(spec.tasks))
        self.to_row = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, ROW))
        self.bounded = BoundedRows(spec.workspace_min, spec.workspace_max)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        return self.decide(image, text, text_mask, state)[0]

    def decide(
        self,
        image: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: Tensor,
        to_go: Tensor | None = None,
    ) -> tuple[PolicyOutput, Tensor]:
        """
        Return the output and logits (b, k) of how many rows there are to go.

        ``to_go`` (b,) int64 asks for a number of rows; the likeliest one where it is negative.
        """
        vision, words, robot = self.senses(image, text, text_mask, state)
        vision, words, robot = self.entrance(vision, words, robot)
        prefix = all_joined(vision, words, robot)
        past = self.sequence.begin(prefix.tokens, prefix.mask)
        b = text.shape[0]
        asked, past, _ = self.sequence.follow(self.ask.expand(b, 1, -1), past, causal=True)
        logits = self.to_go_logits(asked[:, 0])
        goal = logits.argmax(dim=-1)
        if to_go is not None:
            goal = torch.where(to_go < 0, goal, to_go)
        x = torch.cat([self.to_go(goal)[:, None], self.rows.expand(b, -1, -1)], dim=1)
        x, _, weights = self.sequence.follow(x, past, causal=True)
        chunk = self.bounded(self.to_row(x[:, 1:]))
        output = PolicyOutput(
            chunk_actions(chunk),
            torch.sigmoid(chunk.termination_logit),
            self.to_task(asked[:, 0]),
            self.senses.on_grid(words_by_readers(weights[:, :, 1:], vision, words)),
        )
        return output, logits
