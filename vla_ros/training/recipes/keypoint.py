"""
The keypoint policy learns to read from sentences alone, and to act from meanings alone.

So every phrasing serves every picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.models.policies.keypoint import KeypointPolicy, Seen
from vla_ros.models.registry import PolicySpec
from vla_ros.training.augment import augment, recolour
from vla_ros.training.batches import Batch, Batches
from vla_ros.training.calibration import calibrate
from vla_ros.training.config import TrainConfig
from vla_ros.training.losses import keypoint_losses, reading_losses, shape_losses
from vla_ros.training.recipes.reading import read_noisily
from vla_ros.training.recipes.recipe import Chooser, Lesson
from vla_ros.training.sentences import SentenceBank
from vla_ros.training.trainer import bfloat16_is_faster

#: Batches of frames that the threshold is set on, and of how much that is not there at least.
_STEPS, _LEAST_ABSENT = 50, 10
#: One in so many pictures is seen in other colours as well.
_RECOLOURED = 4


class KeypointRecipe:
    """Its losses on augmented pictures and words."""

    def __init__(self, policy: KeypointPolicy, spec: PolicySpec, config: TrainConfig) -> None:
        self.random = torch.Generator()
        self._policy = policy
        self._camera = spec.camera
        self._count = config.batch.sentences
        self._device = next(policy.parameters()).device
        self._mixed = bfloat16_is_faster(self._device)

    def chooser(self, bank: SentenceBank) -> Chooser:
        """Return what draws any sentences: they need not be about the pictures."""

        def choose(frames: Batch, random: np.random.Generator, share: slice) -> NDArray[np.int64]:
            return random.integers(len(bank), size=self._count)[share]

        return choose

    def __call__(self, lesson: Lesson) -> dict[str, Tensor]:
        frames, sentences, _ = lesson
        image = augment(frames.image, self.random)
        recoloured = recolour(image[: len(image) // _RECOLOURED], self.random)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            # At once: what is normalised by is then the same in training as of the policy at work.
            seen = self._policy.see(torch.cat([image, recoloured]))
        pictures = Seen(*(part[: len(image)] for part in seen))
        shapes = Seen(*(part[len(image) :] for part in seen))
        return {
            **keypoint_losses(self._policy, frames, pictures, self._camera),
            **shape_losses(self._policy, frames, shapes, self._camera),
            **reading_losses(*read_noisily(self._policy.reader, sentences, self.random)),
        }

    @staticmethod
    def check(config: TrainConfig) -> None:
        """Raise ConfigurationError if too little is asked for in vain to set the threshold by."""
        batch = config.batch
        least = _LEAST_ABSENT / (_STEPS * batch.frames * batch.commands)
        if batch.absent_share < least:
            raise ConfigurationError(
                f'batch.absent_share is {batch.absent_share:g}; valid for policy {config.policy}: '
                f'{least:.2g} and more, for what is not there sets when it says that'
            )

    @staticmethod
    def prepare(policy: KeypointPolicy, unseen: Callable[[], Batches]) -> None:
        """Set what it takes for a thing to count as there."""
        calibrate(policy, unseen(), steps=_STEPS)
