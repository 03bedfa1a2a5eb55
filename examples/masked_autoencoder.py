"""A vision transformer taught by hidden patches, without any labels: the masked autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from examples.drawing import write_sheet
from examples.study import Budget, Figure, rows_at, Study, train
from examples.table import relit, Table
from vla_ros.models.tokenizers.masked_autoencoder import (
    from_patches,
    MaskedAutoencoder,
    normalised,
    to_patches,
)
from vla_ros.models.vision.vit import VisionTransformer


@dataclass(frozen=True)
class Config(Budget):
    size_px: int  # of the pictures
    patch_px: int
    width: int
    layers: int
    hidden_share: float


def run(config: Config, table: Table, seed: int, folder: Path) -> list[Figure]:
    known, new = table.split(seed)
    rng, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    cells = (config.size_px // config.patch_px) ** 2
    vit = VisionTransformer(config.patch_px, config.width, heads=4, layers=config.layers)
    model = MaskedAutoencoder(
        nn.Sequential(vit.patches, vit.position),
        nn.Sequential(*vit.blocks, vit.norm),
        cells,
        config.patch_px,
        config.width,
        hidden_share=config.hidden_share,
    )
    rows = rows_at(len(known), config.batch, seed)

    def losses_at(step: int) -> dict[str, Tensor]:
        image = relit(known.at(rows(step)).mirrored(rng).pictures(config.size_px), random)
        noise = torch.rand(len(image), cells, generator=random)
        return {'hidden patches': model(image, noise).loss}

    trained = train(model, losses_at, config, folder, {'hidden patches': 1.0})
    assert isinstance(trained, MaskedAutoencoder)
    image = new.one_a_scene().pictures(config.size_px)
    with torch.no_grad():
        guess = trained(image, torch.rand(len(image), cells, generator=random))
    # In units of grey: each patch was guessed in units of its own contrast, less its own mean.
    patches = to_patches(image, config.patch_px)
    contrast = patches.var(dim=-1, unbiased=False)
    wrong = (guess.patches - normalised(patches)).square().mean(dim=-1) * contrast
    masked = patches.masked_fill(guess.hidden[..., None], 0.5)
    mean, spread = patches.mean(dim=-1, keepdim=True), contrast.sqrt()[..., None]
    filled = torch.where(guess.hidden[..., None], guess.patches * spread + mean, patches)
    lines = [
        from_patches(some[:6], config.size_px, config.size_px, config.patch_px)
        for some in (patches, masked, filled)
    ]
    write_sheet(lines, folder / 'reconstruction.png')
    return [
        Figure(
            'squared error of hidden pixels (x 1000), given the mean and contrast of each patch',
            1e3 * float(wrong[guess.hidden].mean()),
            1e3 * float(contrast[guess.hidden].mean()),
            'the mean colour of each patch',
            lower_is_better=True,
        ),
    ]


STUDY = Study(
    name='masked_autoencoder',
    claims='guesses three in four patches of a picture of a new scene from the rest, but not the '
    'colour of a thing that is hidden whole',
    config=Config,
    run=run,
    pictures={
        'reconstruction.png': 'pictures of new scenes, the patches that are seen, and the guess '
        'for the others (with the true mean and contrast of each)'
    },
)
