"""
Teaches an encoder of patches without any labels (MAE, He et al. 2021).

Most patches are hidden; the encoder sees the others alone, and a small decoder guesses from them
the pixels of the hidden ones. Afterwards the decoder is thrown away.
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.layers.block import PreNormBlock


class Guess(NamedTuple):
    """
    What the autoencoder makes of an image of n patches.

    ``patches`` (b, n, 3 * patch * patch) as guessed, each in units of its own mean and deviation;
    ``hidden`` (b, n) bool; ``loss`` () the mean squared error over the hidden ones.
    """

    patches: Tensor
    hidden: Tensor
    loss: Tensor


def to_patches(image: Tensor, patch_px: int) -> Tensor:
    """Return (b, n, 3 * patch * patch), row by row, of images (b, 3, h, w)."""
    return nn.functional.unfold(image, patch_px, stride=patch_px).transpose(1, 2)


def from_patches(patches: Tensor, height: int, width: int, patch_px: int) -> Tensor:
    """Return images (b, 3, h, w): the way back from ``to_patches``."""
    return nn.functional.fold(
        patches.transpose(1, 2), (height, width), (patch_px, patch_px), stride=patch_px
    )


def normalised(patches: Tensor) -> Tensor:
    """Return patches (b, n, p) less their mean, by their deviation: what is to be guessed."""
    mean = patches.mean(dim=-1, keepdim=True)
    deviation = (patches.var(dim=-1, keepdim=True, unbiased=False) + 1e-6).sqrt()
    return (patches - mean) / deviation


class MaskedAutoencoder(nn.Module):
    """
    Images (b, 3, h, w) float with so many ``cells``, of ``patch_px`` pixels each way, to a Guess.

    ``embed`` turns images into tokens (b, rows, columns, width) or (b, cells, width), positions
    included; ``encode`` turns any number of them (b, v, width) into as many. Together they are
    the encoder: of a vision transformer, its patches and its blocks.
    """

    def __init__(
        self,
        embed: nn.Module,
        encode: nn.Module,
        cells: int,
        patch_px: int,
        width: int,
        decoder_width: int = 64,
        heads: int = 4,
        layers: int = 2,
        hidden_share: float = 0.75,
    ) -> None:
        super().__init__()
        self.embed, self.encode = embed, encode
        self.patch_px = patch_px
        self.seen = cells - round(hidden_share * cells)
        if not 0 < self.seen < cells:
            raise ValueError(f'{hidden_share} of {cells} patches leaves none hidden or none seen')
        self.narrow = nn.Linear(width, decoder_width)
        self.unseen = nn.Parameter(torch.randn(decoder_width) * 0.02)
        self.place = nn.Parameter(torch.randn(cells, decoder_width) * 0.02)
        self.blocks = nn.ModuleList(PreNormBlock(decoder_width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(decoder_width)
        self.to_pixels = nn.Linear(decoder_width, 3 * patch_px * patch_px)

    def forward(self, image: Tensor, noise: Tensor) -> Guess:
        """Return the guess; the patches with the least ``noise`` (b, cells) are seen."""
        cells = self.embed(image)
        tokens = cells.flatten(1, -2)  # (b, n, width)
        seen = noise.argsort(dim=1)[:, : self.seen]  # (b, v)
        encoded = self.narrow(self.encode(_take(tokens, seen)))  # (b, v, d)

        x = self.unseen.expand(tokens.shape[0], tokens.shape[1], -1)
        x = x.scatter(1, seen[:, :, None].expand(-1, -1, x.shape[2]), encoded) + self.place
        for block in self.blocks:
            x = block(x)
        patches = self.to_pixels(self.norm(x))

        hidden = torch.ones_like(noise, dtype=torch.bool).scatter(1, seen, False)
        wrong = (patches - normalised(to_patches(image, self.patch_px))).square().mean(dim=-1)
        return Guess(patches, hidden, (wrong * hidden).sum() / hidden.sum())


def _take(tokens: Tensor, places: Tensor) -> Tensor:
    """Return the tokens (b, v, width) at places (b, v) of (b, n, width)."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))
