"""
A policy that says what it is going to do, step by step, and acts on the first steps of that.

A plan in words of its own before the action, as in the embodied chain of thought (Zawalski et al.
2024): from all tokens a short list of steps is drawn up, and the chunk is read from the tokens and
the plan. The plan is an expectation over steps, so that acting teaches planning too.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.fusion.early import EarlyFusion
from vla_ros.models.heads.chunk import chunk_actions
from vla_ros.models.heads.classifier import TaskClassifier
from vla_ros.models.heads.plan import Plan, PlanHead
from vla_ros.models.heads.waypoint import WaypointHead
from vla_ros.models.layers.gaze import Looks
from vla_ros.models.layers.position import LearnedPosition
from vla_ros.models.policies.senses import gaze_at, SensesConfig, SensingPolicy
from vla_ros.models.registry import PolicySpec, register_policy

#: Steps of a plan; END (0) comes before them, see ``models.heads.plan``.
STEPS = ('reach', 'grasp', 'carry', 'release', 'push', 'leave', 'set_down')
#: The longest plan: set down what was grasped by mistake, then all of putting something somewhere.
PLAN_LENGTH = 6


@dataclass(frozen=True)
class EmbodiedConfig(SensesConfig):
    """Sizes of the network."""

    layers: int = 2


class Intent(NamedTuple):
    """What the policy does, the plan by which it does it, and where it looked."""

    output: PolicyOutput
    plan: Plan
    looks: Looks


@register_policy('embodied', EmbodiedConfig)
class EmbodiedPolicy(SensingPolicy):
    """See the module; scriptable, under the policy contract."""

    def __init__(self, spec: PolicySpec, config: EmbodiedConfig) -> None:
        super().__init__(spec, config)
        width, heads = config.width, config.heads
        self.fusion = EarlyFusion(width, heads, config.layers)
        self.task = TaskClassifier(width, heads, len(spec.tasks))
        self.plan = PlanHead(width, heads, PLAN_LENGTH, len(STEPS))
        self.step = nn.Linear(1 + len(STEPS), width)
        self.place = LearnedPosition(PLAN_LENGTH, width)
        self.gaze = gaze_at(spec, config)
        self.chunk = WaypointHead(width, heads, spec)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        return self.intend(image, text, text_mask, state).output

    def intend(
        self,
        image: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: Tensor,
        taught: Tensor | None = None,
    ) -> Intent:
        """Return all of it; ``taught`` (b, PLAN_LENGTH) is as in ``PlanHead``."""
        vision, words, robot = self.senses(image, text, text_mask, state)
        fused = self.fusion(vision, words, robot)
        plan = self.plan(fused.tokens, fused.mask, taught)
        steps = self.place(self.step(plan.logits.softmax(dim=-1)))  # (b, s, width)
        there = torch.ones_like(plan.steps, dtype=torch.bool)
        looks = self.gaze(fused.attention, words, vision.tokens)
        tokens = torch.cat([fused.tokens, steps], dim=1)
        mask = torch.cat([fused.mask, there], dim=1)
        task_logits = self.task(fused.tokens, fused.mask)
        chunk = self.chunk(tokens, mask, looks, task_logits, state)
        output = PolicyOutput(
            chunk_actions(chunk),
            torch.sigmoid(chunk.termination_logit),
            task_logits,
            self.senses.on_grid(fused.attention),
        )
        return Intent(output, plan, looks)
