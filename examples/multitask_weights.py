"""Tasks in very different units on one trunk: losses weighted by their learned uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table
from vla_ros.models.layers.pool import AttentionPool
from vla_ros.models.layers.position import SinusoidPosition2d
from vla_ros.models.vision.conv_map import ConvMap
from vla_ros.training.demonstrations import ZONE_NAMES
from vla_ros.training.losses import chance_loss, UncertaintyWeights, weighted_sum


@dataclass(frozen=True)
class Config(Budget):
    size_px: int
    width: int


class Trunk(nn.Module):
    """Pictures to where the hand is (b, 3) cm, and logits (b, zones) of what is there."""

    def __init__(self, config: Config, scales: Mapping[str, float]) -> None:
        super().__init__()
        self.see = ConvMap(config.width)
        self.place = SinusoidPosition2d(config.width)
        self.gather = AttentionPool(config.width, heads=4, queries=4)
        self.to_hand = nn.Linear(4 * config.width, 3)
        self.to_zones = nn.Sequential(
            nn.Linear(config.width, config.width),
            nn.ReLU(),
            nn.Linear(config.width, len(ZONE_NAMES)),
        )
        self.weights = UncertaintyWeights(scales)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.see(pictures).permute(0, 2, 3, 1)  # (b, rows, columns, width)
        placed = self.gather(self.place(cells).flatten(1, 2))[0].flatten(1)
        return self.to_hand(placed), self.to_zones(cells).mean(dim=(1, 2))


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    pictures, (hand, zones) = known.pictures(config.size_px), _truth(known)
    new = new.one_a_scene()
    rows = rows_at(len(known), config.batch, seed)
    # Of saying always the mean place, and that a zone is there as likely as not.
    scales = {'hand': float(hand.var(dim=0).sum()), 'zones': math.log(2.0)}

    def measured(learned: bool) -> tuple[float, float]:
        """Return by how much the hand is missed, cm, and how often a zone is told right."""
        torch.manual_seed(seed)
        model = Trunk(config, scales)

        def losses_at(step: int) -> dict[str, Tensor]:
            chosen = rows(step)
            at, there = model(pictures[chosen])
            losses = {
                'hand': (at - hand[chosen]).square().sum(dim=-1).mean(),  # cm^2
                'zones': chance_loss(there, zones[chosen]),  # nats
            }
            total = model.weights(losses) if learned else weighted_sum(losses, equal)
            return {'all': total}

        equal = {'hand': 1.0, 'zones': 1.0}
        part = folder / ('learned' if learned else 'equal')
        trained = train(model, losses_at, config, part, {'all': 1.0})
        true_hand, true_zones = _truth(new)
        with torch.no_grad():
            at, there = trained(new.pictures(config.size_px))
        missed = torch.linalg.vector_norm(at - true_hand, dim=-1).mean()
        return float(missed), float(((there > 0.0) == true_zones.bool()).float().mean())

    (hand_cm, told), (equal_cm, equal_told) = measured(True), measured(False)
    usual = float(torch.maximum(zones.mean(dim=0), 1.0 - zones.mean(dim=0)).mean())
    return [
        Figure('zones told right', told, equal_told, 'with a plain sum of cm² and nats'),
        Figure('zones told right', told, usual, 'always saying the commoner'),
        Figure('hand missed by (cm)', hand_cm, _spread_cm(new), 'always its mean place', True),
        Figure('hand missed by (cm), with the plain sum', equal_cm),
    ]


def _truth(table: Table) -> tuple[Tensor, Tensor]:
    """Return where the hand is, (n, 3) cm, and which zones are there, (n, zones)."""
    zones = np.isfinite(table.frames['zone_px'][..., 0])
    hand = 100.0 * table.frames['state'][:, :3]
    return torch.from_numpy(hand), torch.from_numpy(zones).float()


def _spread_cm(table: Table) -> float:
    hand, _ = _truth(table)
    return float(torch.linalg.vector_norm(hand - hand.mean(dim=0), dim=-1).mean())


STUDY = Study(
    name='multitask_weights',
    claims='keeps a loss from being drowned by one in larger units',
    config=Config,
    run=run,
    pictures={},
)
