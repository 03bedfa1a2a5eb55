"""Hidden things in a picture, guessed from the command and the rest: UNITER's masked regions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn, Tensor

from examples.commands import all_words
from examples.regions import named_by, NAMES, Regions, regions_of
from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table, Words
from vla_ros.models.fusion.registry import build_fusion
from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.text.transformer import TextTransformer
from vla_ros.sim.scene import OBJECT_NAMES
from vla_ros.training.grammar import plain_sentence
from vla_ros.training.losses import mask_regions, region_class_loss, region_feature_loss


@dataclass(frozen=True)
class Config(Budget):
    width: int
    layers: int
    hidden_share: float  # of the things that the command names


class Seer(nn.Module):
    """Regions with their places and the words of a command to what each region is."""

    def __init__(self, words: int, features: int, config: Config) -> None:
        super().__init__()
        width = config.width
        self.look = nn.Linear(features + 3, width)
        self.read = TextTransformer(words, width, heads=4, layers=1)
        self.fusion = build_fusion('early', width, {'heads': 4, 'layers': config.layers})
        self.to_feature = nn.Linear(width, features)
        self.to_name = nn.Linear(width, len(NAMES))

    def forward(
        self, seen: Regions, hidden: Tensor, ids: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return features (b, c, d) and logits of names (b, c, names); hidden (b, c) is zero."""
        inputs = [seen.features, seen.places, hidden[..., None].float()]
        vision = Tokens(self.look(torch.cat(inputs, dim=-1)), seen.there)
        text = Tokens(self.read(ids, mask), mask)
        no_state = Tokens(vision.tokens[:, :0], seen.there[:, :0])
        # The first token stands for an image that is absent.
        fused = self.fusion(vision, text, no_state).tokens[:, 1 : 1 + seen.there.shape[1]]
        return self.to_feature(fused), self.to_name(fused)


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    random = torch.Generator().manual_seed(seed)
    regions, tasks = regions_of(known), known.tasks()
    named = named_by(tasks)
    words = all_words()
    ids, mask = words([plain_sentence(task) for task in tasks])
    model = Seer(len(words), regions.features.shape[2], config)
    names = torch.eye(len(NAMES))
    rows = rows_at(len(known), config.batch, seed)

    def losses_at(step: int) -> dict[str, Tensor]:
        chosen = rows(step)
        true = Regions(*(part[chosen] for part in regions))
        # Nothing tells of things that the command does not name.
        maskable = true.there & named[chosen]
        read, hidden = mask_regions(true.features, maskable, random, config.hidden_share)
        guess, logits = model(true._replace(features=read), hidden, ids[chosen], mask[chosen])
        return {
            'feature': region_feature_loss(guess, true.features, hidden),
            'name': region_class_loss(logits, names.expand_as(logits), hidden),
        }

    trained = train(model, losses_at, config, folder, {'feature': 1.0, 'name': 1.0})
    mean = regions.features[:, : len(OBJECT_NAMES)][regions.there[:, : len(OBJECT_NAMES)]].mean(0)
    return _measure(trained, words, new.one_a_scene(), mean)


@torch.no_grad()
def _measure(model: nn.Module, words: Words, new: Table, mean: Tensor) -> list[Figure]:
    """Hide the object that each command names."""
    true, tasks = regions_of(new), new.tasks()
    named = torch.tensor([OBJECT_NAMES.index(task.object) for task in tasks])
    hidden = nn.functional.one_hot(named, len(NAMES)).bool()
    read = true._replace(features=true.features.masked_fill(hidden[..., None], 0.0))
    ids, mask = words([plain_sentence(task) for task in tasks])
    guess, logits = model(read, hidden, ids, mask)
    other, _ = model(read, hidden, ids.roll(1, 0), mask.roll(1, 0))
    wrong, misled, plain = (
        float(region_feature_loss(some, true.features, hidden))
        for some in (guess, other, mean.expand_as(guess))
    )
    told = float((logits[hidden].argmax(dim=-1) == named).float().mean())
    commonest = float(named.bincount().max() / len(named))
    return [
        Figure('squared error of the hidden object', wrong, plain, 'the mean object', True),
        Figure('squared error with the command', wrong, misled, 'that of another scene', True),
        Figure('hidden objects named', told, commonest, 'the commonest'),
    ]


STUDY = Study(
    name='masked_region',
    claims='guesses what is behind a mask in a new scene, and reads the command for that',
    config=Config,
    run=run,
    pictures={},
)
