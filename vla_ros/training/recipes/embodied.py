"""The embodied policy learns to plan as well: the steps that the expert has yet to take."""

from __future__ import annotations

from vla_ros.models.contract import Learned
from vla_ros.models.policies.embodied import EmbodiedPolicy
from vla_ros.training.losses import class_loss
from vla_ros.training.plans import plans
from vla_ros.training.recipes.imitation import ImitationRecipe, Shown


class EmbodiedRecipe(ImitationRecipe):
    """Imitation, each step of the plan guessed after the right ones."""

    _policy: EmbodiedPolicy

    def _learn(self, shown: Shown) -> Learned:
        steps = plans(shown.frames).masked_fill(shown.unclear[:, None], -1)  # (r, s)
        output, plan, looks = self._policy.intend(*shown.given, steps.clamp(min=0))
        loss = class_loss(plan.logits.float().flatten(0, 1), steps.flatten())
        return Learned(output, {'plan': loss}, looks)
