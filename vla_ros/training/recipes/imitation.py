"""
Any policy learns to do what the expert would, from what it returns alone.

Every picture is shown with several commands, each in words of its own; those for nothing, for what
nobody can tell and for what is not there are to be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.interfaces import ABSENT_TASK, REFUSALS, UNCLEAR_TASK
from vla_ros.models.contract import Learned, PolicyModule, PolicyOutput
from vla_ros.models.heads.chunk import Chunk
from vla_ros.models.heads.waypoint import WaypointHead
from vla_ros.models.layers.gaze import Looks
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.models.registry import PolicySpec
from vla_ros.models.vision.cells import cell_pixels, OBJECT_PLANE_M
from vla_ros.training.augment import augment, augment_text
from vla_ros.training.batches import Batch, Batches, on_table
from vla_ros.training.config import TrainConfig
from vla_ros.training.losses import class_loss, cloning_losses, part_loss, position_loss
from vla_ros.training.recipes.recipe import Chooser, Lesson
from vla_ros.training.rehearsal import Rehearsal
from vla_ros.training.sentences import SentenceBank, SentenceBatch
from vla_ros.training.spoken import is_unclear, Spoken
from vla_ros.training.trainer import bfloat16_is_faster

#: So many commands leave open which thing or place is meant.
_UNCLEAR_SHARE = 0.06
#: Chances are kept so far from 0 and 1 that their logits are finite.
_EPSILON = 1e-6
#: What is rehearsed is seen so far off, as by a look.
_LOOK_NOISE_M = 0.003


class Shown(NamedTuple):
    """
    What a policy is shown and is to do: ``given`` is what ``PolicyModule.learn`` is given.

    ``actions`` (r, k, 8) and ``done`` (r, k) are NaN where nobody knows; ``task`` (r,) is the
    place among the task logits; of the rows that are ``unclear`` (r,) nobody can tell what the
    words mean. Pictures and words are augmented, those of ``frames`` are not.
    """

    given: tuple[Tensor, Tensor, Tensor, Tensor]
    actions: Tensor
    done: Tensor
    task: Tensor
    unclear: Tensor
    frames: Batch


class ImitationRecipe:
    """Behaviour cloning of the straight move to where the expert goes, and of its refusals."""

    def __init__(self, policy: PolicyModule, spec: PolicySpec, config: TrainConfig) -> None:
        self.random = torch.Generator()
        self._policy = policy
        self._config = config.batch
        self._camera = spec.camera
        self._device = next(policy.parameters()).device
        self._mixed = bfloat16_is_faster(self._device)
        self._move = StraightMove(
            spec.horizon, spec.dt_s, spec.speed_m_s, spec.angular_speed_rad_s
        ).to(self._device)
        traits = policy.traits()
        stride = spec.camera.width // traits.grid[1]
        self._cells = torch.from_numpy(cell_pixels(spec.camera, stride)).float().to(self._device)
        self._sigma_px = 0.6 * stride
        heads = (m for m in policy.modules() if isinstance(m, WaypointHead))
        self._head = next(heads, None)
        self._weights = config.loss_weights
        self._is_taught_to_look = traits.attention == 'cross_attention'

    def chooser(self, bank: SentenceBank) -> Chooser:
        """Return what draws a sentence for each command of the frames."""
        spoken, config = Spoken(bank), self._config

        def choose(frames: Batch, random: np.random.Generator, share: slice) -> NDArray[np.int64]:
            chances = random.random((config.frames, config.commands, 2))[share].reshape(-1, 2)
            unclear = chances[:, 1] < _UNCLEAR_SHARE
            return spoken.rows(frames.meaning, chances[:, 0], unclear)

        return choose

    def __call__(self, lesson: Lesson) -> dict[str, Tensor]:
        shown = self._shown(lesson)
        with self._mixed_precision():
            output, further, looks = self._learn(shown)
        losses = {
            **cloning_losses(as_chunk(output), shown.actions, shown.done),
            'task': class_loss(output.task_logits.float(), shown.task),
        }
        if self._is_taught_to_look:
            losses['heat'] = self._heat(output.attention, shown.frames, shown.unclear)
        if looks is not None:
            losses |= self._looking(looks, shown.frames, shown.unclear)
        if self._head is not None and lesson.rehearsal is not None:
            losses['rehearsed'] = self._rehearsed(self._head, lesson.rehearsal)
        return {**losses, **further}

    def _shown(self, lesson: Lesson) -> Shown:
        frames, sentences, _ = _shortened(lesson)
        text, mask = augment_text(sentences.text, sentences.text_mask, self.random)
        image = augment(frames.image, self.random)
        unclear = unclear_rows(sentences)
        return Shown(
            (image, text, mask, frames.state),
            *self.demonstrated(frames, unclear),
            wanted_task(frames, unclear),
            unclear,
            frames,
        )

    def _learn(self, shown: Shown) -> Learned:
        """Return what the policy does and learns besides; others may teach it otherwise."""
        return self._policy.learn(*shown.given, shown.actions, shown.done)

    def _mixed_precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed)

    def demonstrated(self, frames: Batch, unclear: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions (r, k, 8) and termination (r, k), NaN where nobody knows."""
        actions = self._move(frames.state, frames.position, frames.yaw, frames.gripper)
        done = frames.done[:, None].expand(-1, actions.shape[1])
        return (
            actions.masked_fill(unclear[:, None, None], torch.nan),
            done.masked_fill(unclear[:, None], torch.nan),
        )

    def _heat(self, attention: Tensor, frames: Batch, unclear: Tensor) -> Tensor:
        """Return how far the attention of all words is from the object and the zone they name."""
        seen = attention.float().sum(dim=1).flatten(1)  # (r, c)
        scores = seen.clamp(min=_EPSILON).log()
        named = _named_px(frames, unclear)
        return part_loss(scores[:, None], named[:, None], self._cells, self._sigma_px)

    def _looking(self, looks: Looks, frames: Batch, unclear: Tensor) -> dict[str, Tensor]:
        """Return how far each look is from what it is at, as a map and as a place."""
        seen = torch.cat([_named_px(frames, unclear), frames.hand_px[:, None]], dim=1)
        at = self._on_table(seen)
        return {
            'gaze': part_loss(looks.scores, seen[:, :, None], self._cells, self._sigma_px),
            'point': position_loss(looks.points.flatten(0, 1), at.flatten(0, 1)),
        }

    def _on_table(self, seen_px: Tensor) -> Tensor:
        """Return (r, 3, 2) m: where object, zone and hand, seen at (r, 3, 2) pixels, would be."""
        heights_m = (OBJECT_PLANE_M, 0.0, OBJECT_PLANE_M)
        places = [on_table(seen_px[:, i], self._camera, h) for i, h in enumerate(heights_m)]
        return torch.stack(places, dim=1)

    def _rehearsed(self, head: WaypointHead, rehearsal: Rehearsal) -> Tensor:
        """Return the loss () of what to do once words and things are known."""
        points = self._on_table(rehearsal.seen_px)
        noise = _LOOK_NOISE_M * torch.randn(points.shape, generator=self.random)
        points = points + noise.to(points.device)
        # What is not named is anywhere; what is named but hidden, nobody can rehearse.
        known = points[:, 0].isfinite().all(dim=-1) & points[:, 2].isfinite().all(dim=-1)
        points = torch.where(points.isfinite(), points, points[:, :1])[known]
        task, _, state, position, yaw, gripper, done = (part[known] for part in rehearsal)
        chunk = head.rehearse(task, points, state)
        actions = self._move(state, position, yaw, gripper)
        losses = cloning_losses(chunk, actions, done[:, None].expand(-1, actions.shape[1]))
        total = sum(self._weights[name] * loss for name, loss in losses.items())
        assert isinstance(total, Tensor)
        return total

    @staticmethod
    def check(config: TrainConfig) -> None:
        """Do nothing: it can do with any settings."""

    @staticmethod
    def prepare(policy: PolicyModule, unseen: Callable[[], Batches]) -> None:
        """Do nothing: it refuses by its task logits as they are."""


def as_chunk(output: PolicyOutput) -> Chunk:
    """Return what a policy returned, with logits for the chances."""
    actions = output.actions.float()
    return Chunk(
        actions[..., :3],
        actions[..., 3:7],
        torch.logit(actions[..., 7], _EPSILON),
        torch.logit(output.termination.float(), _EPSILON),
    )


def _named_px(frames: Batch, unclear: Tensor) -> Tensor:
    """Return (r, 2, 2): where object and zone are seen, NaN for what is not there or unclear."""
    named = torch.stack([frames.object_px, frames.zone_px], dim=1)
    return named.masked_fill(unclear[:, None, None], torch.nan)


def unclear_rows(sentences: SentenceBatch) -> Tensor:
    """Return (r,) bool: which sentences leave open what is meant."""
    classes = torch.stack(sentences[2:], dim=1)
    return torch.from_numpy(is_unclear(classes.cpu().numpy())).to(classes.device)


def wanted_task(frames: Batch, unclear: Tensor) -> Tensor:
    """Return (r,): the place among the task logits of what is asked for, or of its refusal."""
    asked = frames.meaning.task
    absent = (frames.object_there == 0) | (frames.zone_there == 0)
    task = torch.where(asked > 0, asked + len(REFUSALS) - 1, 0)
    task = torch.where(absent, REFUSALS.index(ABSENT_TASK), task)
    return torch.where(unclear, REFUSALS.index(UNCLEAR_TASK), task)


def _shortened(lesson: Lesson) -> Lesson:
    """Return the lesson without the places that no sentence of it fills."""
    frames, sentences, rehearsal = lesson
    n = int(sentences.text_mask.sum(dim=1).max())
    shorter = sentences._replace(text=sentences.text[:, :n], text_mask=sentences.text_mask[:, :n])
    return Lesson(frames, shorter, rehearsal)
