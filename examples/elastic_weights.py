"""A second task learned without forgetting the first: elastic weight consolidation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn, Tensor

from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table
from vla_ros.training.losses import class_loss, diagonal_fisher, ElasticWeights

#: Where the hand is, in the picture of the first camera: cells each way.
_CELLS = 4


@dataclass(frozen=True)
class Config(Budget):
    size_px: int
    width: int
    strength: float  # of the hold on the old weights
    fisher_examples: int


def camera_a(table: Table, size_px: int) -> Tensor:
    """Return pictures (n, 3, size, size) about 0, so that weights do not all hang together."""
    pictures = table.pictures(size_px)
    return pictures - pictures.mean(dim=[1, 2, 3], keepdim=True)


def camera_b(table: Table, size_px: int) -> Tensor:
    """Return what a camera sees that shows negatives, as thermal ones do."""
    return -camera_a(table, size_px)


def hand_cells(table: Table) -> Tensor:
    """Return (n,) int64: in which of the cells the hand is, whatever the camera."""
    size_px = table.frames['image'].shape[1]
    cell = torch.from_numpy(table.frames['hand_px'] / size_px * _CELLS).long()
    u, v = cell.clamp(0, _CELLS - 1).unbind(dim=1)
    return v * _CELLS + u


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    old, other = (camera(known, config.size_px) for camera in (camera_a, camera_b))
    cells = hand_cells(known)
    rows = rows_at(len(known), config.batch, seed)

    def learn(
        model: nn.Module, pictures: Tensor, part: str, hold: Callable[[], Tensor] | None = None
    ) -> nn.Module:
        def losses_at(step: int) -> dict[str, Tensor]:
            chosen = rows(step)
            losses = {'hand': class_loss(model(pictures[chosen]), cells[chosen])}
            return losses if hold is None else {**losses, 'hold': hold()}

        weights = {'hand': 1.0, 'hold': 1.0}
        return train(model, losses_at, config, folder / part, weights)

    def accuracy(model: nn.Module, camera: Callable[[Table, int], Tensor]) -> float:
        with torch.no_grad():
            told = model(camera(new, config.size_px)).argmax(dim=-1)
        return float((told == hand_cells(new)).float().mean())

    first = learn(_net(config), old, 'first').requires_grad_()
    random = torch.Generator().manual_seed(seed)
    examples = torch.randperm(len(old), generator=random)[: config.fisher_examples]
    fisher = diagonal_fisher(first, _log_likelihoods(first, old[examples], random))
    home = ElasticWeights(first, fisher, config.strength)
    plain, held = _net(config), _net(config)
    for model in (plain, held):
        model.load_state_dict(first.state_dict())
    plain = learn(plain, other, 'plain')
    kept = learn(held, other, 'held', lambda: home.penalty(held))
    before = accuracy(first, camera_a)
    return [
        Figure(
            'accuracy lost on the first camera',
            before - accuracy(kept, camera_a),
            before - accuracy(plain, camera_a),
            'plain fine-tuning',
            lower_is_better=True,
        ),
        Figure(
            'accuracy on the second camera',
            accuracy(kept, camera_b),
            accuracy(first, camera_b),
            'before it was taught',
        ),
        Figure('the same of plain fine-tuning', accuracy(plain, camera_b)),
        Figure('accuracy on the first camera, before', before),
    ]


def _net(config: Config) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(3 * config.size_px**2, config.width),
        nn.ReLU(),
        nn.Linear(config.width, config.width),
        nn.ReLU(),
        nn.Linear(config.width, _CELLS**2),
    )


def _log_likelihoods(
    model: nn.Module, pictures: Tensor, random: torch.Generator
) -> Iterator[Tensor]:
    """Yield the log likelihood of an answer of the model's own to each picture."""
    for picture in pictures:
        chances = model(picture[None])[0].log_softmax(dim=-1)
        yield chances[torch.multinomial(chances.detach().exp(), 1, generator=random)].sum()


STUDY = Study(
    name='elastic_weights',
    claims='learns the hand in the pictures of a second camera and forgets less of the first',
    config=Config,
    run=run,
    pictures={},
)
