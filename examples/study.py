"""What all examples share: their budget, their training loop, and what they measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn, Tensor

from examples.table import Table
from vla_ros.evaluation.statistics import Mean
from vla_ros.training.trainer import Trainer, TrainerConfig


@dataclass(frozen=True)
class Budget:
    """
    How an example trains; its own configuration adds what it needs.

    Each of so many ``seeds`` has weights, an order of batches and held-out scenes of its own.
    """

    seeds: int
    steps: int
    batch: int
    learning_rate: float


@dataclass(frozen=True)
class Figure:
    """
    What one seed measured on scenes, or sentences, that it was not trained on.

    ``against`` is to be beaten, and ``beside`` says what it is; None if this only informs.
    """

    what: str
    value: float
    against: float | None = None
    beside: str = ''
    lower_is_better: bool = False


@dataclass(frozen=True)
class Study:
    """
    An example: what it ``claims``, how it is configured, and what runs it.

    ``run(config, table, seed, folder)`` trains in ``folder`` and leaves there the ``pictures``
    that it names, each with a caption.
    """

    name: str
    claims: str
    config: type[Budget]
    run: Callable[[Any, Table, int, Path], list[Figure]]
    pictures: Mapping[str, str]


@dataclass(frozen=True)
class Line:
    """A figure over all seeds; ``margin`` is by how much it is better than ``against``."""

    what: str
    value: Mean
    against: Mean | None
    beside: str
    margin: Mean | None

    @property
    def holds(self) -> bool | None:
        """Whether the whole interval of the margin is better; None where nothing is claimed."""
        return None if self.margin is None else self.margin.low > 1e-9


def lines_of(runs: list[list[Figure]]) -> list[Line]:
    """Return the figures of all seeds together; every seed measured the same."""
    lines = []
    for figures in zip(*runs, strict=True):
        first, values = figures[0], [figure.value for figure in figures]
        others = [figure.against for figure in figures if figure.against is not None]
        sign = -1.0 if first.lower_is_better else 1.0
        better = [sign * (value - other) for value, other in zip(values, others, strict=False)]
        lines.append(
            Line(
                first.what,
                Mean.of(values),
                Mean.of(others) if others else None,
                first.beside,
                Mean.of(better) if better else None,
            )
        )
    return lines


def train(
    model: nn.Module,
    losses_at: Callable[[int], dict[str, Tensor]],
    budget: Budget,
    folder: Path,
    weights: Mapping[str, float],
) -> nn.Module:
    """
    Train ``model`` by the losses (), by name, of every step.

    Return the average of its weights, ready to be measured. ``weights`` are those of the losses
    by name; ``folder`` gets their log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'log.jsonl').unlink(missing_ok=True)
    config = TrainerConfig(
        steps=budget.steps,
        learning_rate=budget.learning_rate,
        weight_decay=0.01,
        warmup_steps=max(1, budget.steps // 20),
        average_decay=0.99,
        max_gradient_norm=1.0,
        log_every=max(1, budget.steps // 50),
        save_every=budget.steps,
    )
    trainer = Trainer(model, losses_at, dict(weights), config, folder)
    trainer.run(lambda step: step, budget.steps)
    return trainer.average


def rows_at(count: int, batch: int, seed: int) -> Callable[[int], np.ndarray]:
    """Return what draws ``batch`` of ``count`` rows for a step."""
    return lambda step: np.random.default_rng((seed, step)).integers(count, size=batch)
