"""The token policy learns to continue a sequence with the expert's answer, token by token."""

from __future__ import annotations

import torch
from torch import Tensor

from vla_ros.models.policies.rt2_tokens import Rt2TokensPolicy
from vla_ros.training.losses.token_sequence import token_losses, TokenKind
from vla_ros.training.recipes.imitation import ImitationRecipe
from vla_ros.training.recipes.recipe import Lesson


class Rt2TokensRecipe(ImitationRecipe):
    """
    The cross-entropy of each token after the right ones.

    Of the answer the task is language and the numbers are action. There is no number to learn
    where nobody knows what to do.
    """

    _policy: Rt2TokensPolicy

    def __call__(self, lesson: Lesson) -> dict[str, Tensor]:
        shown = self._shown(lesson)
        frames = shown.frames
        numbers = torch.stack([frames.yaw, frames.gripper, frames.done], dim=1)
        numbers = torch.cat([frames.position, numbers], dim=1)  # (r, 6)
        unknown = numbers.isnan() | shown.unclear[:, None]
        answer = self._policy.answer(shown.task, numbers.nan_to_num())
        kinds = torch.full_like(answer, TokenKind.ACTION)
        kinds[:, 0] = TokenKind.LANGUAGE
        kinds[:, 1:].masked_fill_(unknown, TokenKind.PADDING)
        with self._mixed_precision():
            logits, attention = self._policy.guess(*shown.given, answer)
        losses = token_losses(logits.float(), answer, kinds)
        return {
            'language': losses['language'],
            'action': losses['action'],
            'heat': self._heat(attention, frames, shown.unclear),
        }
