"""Which commands can be obeyed in a picture, and which cannot."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from examples.table import Table, Words
from vla_ros.sim.tasks import Task
from vla_ros.training.grammar import every_plain_sentence, plain_sentence
from vla_ros.training.losses import mismatched


def all_words() -> Words:
    """Return the words of plain commands and of lists of them."""
    return Words([*(sentence.text for sentence in every_plain_sentence()), ', then'])


def lists(table: Table, commands: int, rng: np.random.Generator) -> list[str]:
    """Return for each frame a list of so many commands; those that mean the same read the same."""
    said = map(plain_sentence, drawn(table, commands, rng))
    return [', then '.join(sorted(some)) for some in zip(*[said] * commands, strict=True)]


def mistakes(table: Table, tasks: list[Task], hardness: float, random: torch.Generator) -> Tensor:
    """
    Return for each row the place (r,) of a task that cannot be done in its picture.

    Rows are the table's pictures times commands; ``tasks`` (r,) can be done.
    """
    named = [{task.object, *([f'{task.zone} zone'] if task.zone else [])} for task in tasks]
    there = np.repeat(table.things(), len(tasks) // len(table))
    fits = torch.tensor([[names <= things for names in named] for things in there])
    said = [{word for name in names for word in name.split()} - {'zone'} for names in named]
    shared = torch.tensor([[float(len(one & other)) for other in said] for one in said])
    _, same = np.unique([task.key for task in tasks], return_inverse=True)
    likely = (hardness * shared).masked_fill(fits, -torch.inf)
    return mismatched(torch.from_numpy(same), random, likely)


def drawn(table: Table, commands: int, rng: np.random.Generator) -> list[Task]:
    """Return so many tasks that can be done in each frame, those of one together."""
    labels = rng.permutation(table.frames['labels'].shape[1])[:commands]
    return [task for some in zip(*map(table.tasks, labels), strict=True) for task in some]
