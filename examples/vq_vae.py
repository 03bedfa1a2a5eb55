"""Pictures as a few tokens and back: the VQ-VAE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from examples.drawing import write_sheet
from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import Table
from vla_ros.evaluation.embeddings import draw_codebook
from vla_ros.evaluation.metrics import generation
from vla_ros.models.tokenizers.vq_vae import code_shares, perplexity, usage, VqVae


@dataclass(frozen=True)
class Config(Budget):
    size_px: int  # of the pictures; a token is 4 x 4 pixels
    codes: int
    code_width: int
    width: int
    revive_every: int  # steps; in the first half of training only


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    pictures = known.pictures(config.size_px)
    trained = train_tokenizer(config, pictures, seed, folder)
    image = new.one_a_scene().pictures(config.size_px)
    with torch.no_grad():
        out = trained(image)
        used = code_shares(out.tokens, config.codes)
    own_mean = image.mean(dim=[2, 3], keepdim=True).expand_as(image)
    write_sheet([image[:6], out.image[:6]], folder / 'reconstruction.png')
    draw_codebook(used, folder / 'codebook.png')
    mean_picture = pictures.mean(dim=0).expand_as(image)
    made, flat, usual = (
        # Of what tells a picture from the mean one: all pictures are of the same table.
        generation(some - mean_picture, image - mean_picture)
        for some in (out.image, own_mean, mean_picture)
    )
    wrong, plain, mean = (1e3 * one.mean_squared_error for one in (made, flat, usual))
    what = 'squared error of pixels (x 1000)'
    return [
        Figure(what, wrong, plain, 'the mean colour of each picture', True),
        Figure(what, wrong, mean, 'the mean picture', True),
        Figure('cosine of what differs from that', made.cosine, flat.cosine, 'the mean colour'),
        Figure('codes in use', usage(used)),
        Figure('perplexity of the codes', perplexity(used), 1.0, 'a collapsed codebook'),
    ]


def train_tokenizer(config: Config, pictures: Tensor, seed: int, folder: Path) -> VqVae:
    """Return a tokenizer of ``pictures`` (n, 3, h, w)."""
    random = torch.Generator().manual_seed(seed)
    model = VqVae(config.codes, config.code_width, config.width)
    rows = rows_at(len(pictures), config.batch, seed)

    def losses_at(step: int) -> dict[str, Tensor]:
        image = pictures[rows(step)]
        if step % config.revive_every == 0 and step < config.steps // 2:
            model.quantiser.revive(model.encoder(image), random)
        return {'picture': model(image).loss}

    trained = train(model, losses_at, config, folder, {'picture': 1.0})
    assert isinstance(trained, VqVae)
    return trained


STUDY = Study(
    name='vq_vae',
    claims='keeps in its tokens where things are in a new scene, but not all hues; uses its codes',
    config=Config,
    run=run,
    pictures={
        'reconstruction.png': 'pictures of new scenes, and what their tokens keep of them',
        'codebook.png': 'how often each code is used',
    },
)
