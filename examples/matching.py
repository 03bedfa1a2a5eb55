"""Whether a command can be obeyed in a picture: image-text matching, hard cases first (ALBEF)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from examples.commands import all_words, drawn, mistakes
from examples.drawing import write_sheet
from examples.regions import named_by, Regions, regions_of
from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table
from vla_ros.models.fusion.registry import build_fusion
from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.heads.regression import RegressionHead
from vla_ros.models.text.transformer import TextTransformer
from vla_ros.pipeline.attention import overlay
from vla_ros.training.grammar import plain_sentence
from vla_ros.training.losses import matching_loss

#: Cells each way of the map that is drawn.
_GRID = 24


@dataclass(frozen=True)
class Config(Budget):
    width: int
    layers: int
    fusion: str  # a registered name
    commands: int  # that fit, for each picture; as many that do not
    hardness: float  # by how much a shared word makes a wrong command likelier, as a logarithm
    grounding: float  # weight of looking at what is named; 0: nobody shows which thing it is


class Matcher(nn.Module):
    """What is seen in pictures and the words of commands to whether they belong together."""

    def __init__(self, words: int, features: int, config: Config) -> None:
        super().__init__()
        width = config.width
        self.see = nn.Sequential(
            nn.Linear(features + 2, width), nn.GELU(), nn.Linear(width, width)
        )
        self.read = TextTransformer(words, width, heads=4, layers=1)
        self.fusion = build_fusion(config.fusion, width, {'heads': 4, 'layers': config.layers})
        self.answer = RegressionHead(width, heads=4, outputs=1)

    def forward(self, seen: Regions, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (b,) and how much each word looks at each region (b, n, c)."""
        tokens = self.see(torch.cat([seen.features, seen.places], dim=-1))
        no_state = Tokens(tokens[:, :0], seen.there[:, :0])
        text = Tokens(self.read(ids, mask), mask)
        fused = self.fusion(Tokens(tokens, seen.there), text, no_state)
        return self.answer(fused.tokens, fused.mask)[:, 0], fused.attention


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    rng, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    regions, words = regions_of(known), all_words()
    model = Matcher(len(words), regions.features.shape[2], config)
    rows = rows_at(len(known), config.batch, seed)

    def losses_at(step: int) -> dict[str, Tensor]:
        chosen = rows(step)
        some = known.at(chosen)
        tasks = drawn(some, config.commands, rng)
        ids, mask = words([plain_sentence(task) for task in tasks])
        wrong = mistakes(some, tasks, config.hardness, random)
        seen = _repeated(regions, torch.from_numpy(chosen), config.commands)
        right, looks = model(seen, ids, mask)
        return {
            'matching': matching_loss(right, model(seen, ids[wrong], mask[wrong])[0]),
            'grounding': _grounding_loss(looks, named_by(tasks)),
        }

    weights = {'matching': 1.0, 'grounding': config.grounding}
    trained = train(model, losses_at, config, folder, weights)

    new, figures = new.one_a_scene(), []
    tasks = drawn(new, config.commands, rng)
    ids, mask = words([plain_sentence(task) for task in tasks])
    seen = _repeated(regions_of(new), torch.arange(len(new)), config.commands)
    with torch.no_grad():
        right, looks = trained(seen, ids, mask)
        for hardness, which in ((0.0, 'any others'), (config.hardness, 'others alike')):
            wrong = mistakes(new, tasks, hardness, random)
            logits, _ = trained(seen, ids[wrong], mask[wrong])
            told = float(torch.cat([right > 0.0, logits <= 0.0]).float().mean())
            goal = (0.5, 'chance') if hardness else (0.9, 'the goal')
            figures.append(Figure(f'commands told from {which}', told, *goal))
    first = slice(None, None, config.commands)
    attended, there = looks[first].sum(dim=1), seen.there[first]
    named = named_by(tasks)[first]
    on_named = float(named.gather(1, attended.argmax(dim=1, keepdim=True)).float().mean())
    chance = float((named.sum(dim=1) / there.sum(dim=1)).mean())
    figures.append(Figure('words look most at what they name', on_named, chance, 'chance'))
    _draw(new, attended, seen.places[first], folder / 'attention.png')
    return figures


def _repeated(regions: Regions, rows: Tensor, times: int) -> Regions:
    """Return the regions at rows, each so many times."""
    return Regions(*(part[rows].repeat_interleave(times, dim=0) for part in regions))


def _grounding_loss(looks: Tensor, named: Tensor) -> Tensor:
    """Return how far all words (b, n, c) are from looking at nothing but what is named (b, c)."""
    wanted = named / named.sum(dim=1, keepdim=True)
    return nn.functional.cross_entropy(looks.sum(dim=1).clamp(min=1e-6).log(), wanted)


def _draw(table: Table, looks: Tensor, places: Tensor, picture_path: Path) -> None:
    """Draw pictures, and below them how much of all words is at each region (b, c)."""
    few = table.at(np.arange(min(6, len(table))))
    maps = torch.zeros(len(few), _GRID, _GRID)
    for heat, weights, where in zip(maps, looks, places, strict=False):
        column, row = (where * _GRID).long().clamp(0, _GRID - 1).unbind(dim=1)
        heat.index_put_((row, column), weights, accumulate=True)
    smooth = nn.functional.avg_pool2d(maps[:, None], 3, 1, 1)[:, 0].numpy()
    heated = [overlay(*pair) for pair in zip(few.frames['image'], smooth, strict=True)]
    shown = torch.from_numpy(np.stack(heated)).permute(0, 3, 1, 2) / 255.0
    write_sheet([nn.functional.interpolate(few.pictures(), shown.shape[-2:]), shown], picture_path)


STUDY = Study(
    name='matching',
    claims='tells commands that can be obeyed in a new scene from those that cannot',
    config=Config,
    run=run,
    pictures={'attention.png': 'new scenes, and which of their things a command looks at'},
)
