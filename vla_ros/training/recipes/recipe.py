"""The seam between a training run, which knows no policy, and how one kind of policy is taught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.models.meaning import Meaning
from vla_ros.models.registry import PolicySpec
from vla_ros.training.batches import Batch, Batches
from vla_ros.training.config import TrainConfig
from vla_ros.training.rehearsal import Rehearsal
from vla_ros.training.sentences import SentenceBank, SentenceBatch


class Lesson(NamedTuple):
    """What is learned from in one step; ``rehearsal`` is for policies that can."""

    frames: Batch
    sentences: SentenceBatch
    rehearsal: Rehearsal | None = None


def moved(lesson: Lesson, device: torch.device) -> Lesson:
    """Return the lesson with all tensors on a device."""
    frames, sentences, rehearsal = lesson
    meaning = Meaning(*(part.to(device) for part in frames.meaning))
    rest = {
        name: value.to(device) for name, value in frames._asdict().items() if name != 'meaning'
    }
    return Lesson(
        Batch(meaning=meaning, **rest),
        SentenceBatch(*(part.to(device) for part in sentences)),
        None if rehearsal is None else Rehearsal(*(part.to(device) for part in rehearsal)),
    )


#: Returns the rows of a bank that go with a batch of frames. The generator is the same in all
#: processes that train together; the slice is this one's share of whatever is drawn for a step.
Chooser = Callable[[Batch, np.random.Generator, slice], NDArray[np.int64]]


class Recipe(Protocol):
    """
    Teaches one policy; ``random`` is seeded anew for every step.

    ``policy`` is what the registry builds for the name that the recipe is for.
    """

    random: torch.Generator

    def __init__(self, policy: Any, spec: PolicySpec, config: TrainConfig) -> None: ...

    def chooser(self, bank: SentenceBank) -> Chooser:
        """Return what chooses the sentences of a step."""

    def __call__(self, lesson: Lesson) -> dict[str, Tensor]:
        """Return the losses () by name; the configuration weighs them."""

    @staticmethod
    def check(config: TrainConfig) -> None:
        """Raise ConfigurationError if it cannot teach, or make ready, with these settings."""

    @staticmethod
    def prepare(policy: Any, unseen: Callable[[], Batches]) -> None:
        """Make a trained policy ready for its export; ``unseen`` makes frames, in a while."""
