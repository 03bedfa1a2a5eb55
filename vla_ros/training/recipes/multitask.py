"""The multitask policy answers questions about the pictures that it learns to act on."""

from __future__ import annotations

from torch.nn import functional

from vla_ros.models.contract import Learned
from vla_ros.models.policies.multitask import MultitaskPolicy
from vla_ros.models.registry import PolicySpec
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.training.config import TrainConfig
from vla_ros.training.losses.rows import mean_known
from vla_ros.training.questions import Questions
from vla_ros.training.recipes.imitation import ImitationRecipe, Shown


class MultitaskRecipe(ImitationRecipe):
    """Imitation, and two questions about each picture."""

    _policy: MultitaskPolicy

    def __init__(self, policy: MultitaskPolicy, spec: PolicySpec, config: TrainConfig) -> None:
        super().__init__(policy, spec, config)
        self._questions = Questions(load_text_encoder().encode_all, spec.camera)

    def _learn(self, shown: Shown) -> Learned:
        learned = super()._learn(shown)
        asked = self._questions.draw(shown.frames, self.random)
        image, _, _, state = shown.given
        of_picture = state[:: len(state) // len(image)]
        state = of_picture.repeat_interleave(len(asked.text) // len(image), dim=0)
        reply = self._policy.reply(image, asked.text, asked.text_mask, state)
        loss = functional.binary_cross_entropy_with_logits(
            reply.float(), asked.answers.nan_to_num(), reduction='none'
        )
        known = asked.answers.isfinite().all(dim=1)
        answers = mean_known(loss.sum(dim=1), known)
        return learned._replace(losses={**learned.losses, 'answers': answers})
