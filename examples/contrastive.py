"""Which commands belong to which picture: two towers and the contrastive loss (CLIP)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from examples.commands import all_words, lists
from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import relit, Table
from vla_ros.evaluation.embeddings import draw_embeddings
from vla_ros.evaluation.metrics import retrieval
from vla_ros.models.text.transformer import TextTransformer
from vla_ros.models.vision.conv_map import ConvMap
from vla_ros.sim.scene import COLOURS
from vla_ros.training.grammar import every_plain_sentence
from vla_ros.training.losses import ContrastiveLoss


@dataclass(frozen=True)
class Config(Budget):
    size_px: int  # of the pictures
    width: int  # of both towers
    embedding: int
    commands: int  # in each text


class Towers(nn.Module):
    """Pictures and texts, each to an embedding (b, embedding); ``loss`` learns its temperature."""

    def __init__(self, words: int, config: Config) -> None:
        super().__init__()
        width = config.width
        self.see = ConvMap(width)
        self.to_image = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, config.embedding),
        )
        self.read = TextTransformer(words, width, heads=4, layers=1)
        self.to_text = nn.Linear(width, config.embedding)
        self.loss = ContrastiveLoss()

    def images(self, pictures: Tensor) -> Tensor:
        # Of each feature its strongest cell: what is there counts, not how much of it.
        return self.to_image(self.see(pictures).amax(dim=[2, 3]))

    def texts(self, ids: Tensor, mask: Tensor) -> Tensor:
        read = self.read(ids, mask)  # (b, n, width), zeros as padding
        return self.to_text(read.sum(dim=1) / mask.sum(dim=1, keepdim=True))


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    rng, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    words = all_words()
    model = Towers(len(words), config)
    rows = rows_at(len(known), config.batch, seed)

    def losses_at(step: int) -> dict[str, Tensor]:
        some = known.at(rows(step)).mirrored(rng)
        texts = lists(some, config.commands, rng)
        same = torch.from_numpy(np.unique(texts, return_inverse=True)[1])
        images = model.images(relit(some.pictures(config.size_px), random))
        return {'contrastive': model.loss(images, model.texts(*words(texts)), same)}

    trained = train(model, losses_at, config, folder, {'contrastive': 1.0})
    assert isinstance(trained, Towers)

    new, figures = new.one_a_scene(), []
    said = lists(new, config.commands, rng)
    with torch.no_grad():
        images = trained.images(new.pictures(config.size_px))
        texts = trained.texts(*words(said))
    for k in (1, 5):
        recall = retrieval(images, texts, said, k)
        for way, rate in (
            ('commands of a picture', recall.text_of_image),
            ('picture of commands', recall.image_of_text),
        ):
            figures.append(Figure(f'recall@{k}, {way}', rate.success, recall.chance, 'chance'))
    placing = [sentence for sentence in every_plain_sentence() if sentence.meaning.zone]
    with torch.no_grad():
        points = trained.texts(*words([sentence.text for sentence in placing]))
    zones = [f'{sentence.meaning.zone} zone' for sentence in placing]
    colours = {f'{name} zone': rgb for name, rgb in COLOURS.items()}
    draw_embeddings(points, zones, folder / 'embeddings.png', colours)
    return figures


STUDY = Study(
    name='contrastive',
    claims='finds the commands of a picture, and the picture of commands, among scenes never seen',
    config=Config,
    run=run,
    pictures={'embeddings.png': 'commands to push and put, by the zone that they name'},
)
