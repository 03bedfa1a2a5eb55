"""
Images as tokens: a vector-quantised autoencoder (VQ-VAE, van den Oord et al. 2017).

Each cell of an image becomes the nearest vector of a codebook. The way there has no gradient:
that of the decoder is handed straight through to the encoder.
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.vision.conv_map import ResidualBlock


class Quantised(NamedTuple):
    """
    ``vectors`` (b, d, h, w) of the codebook, with the gradient of what they stand for.

    ``tokens`` (b, h, w) int64 are their places in it. ``loss`` () draws codebook and encoder
    towards each other.
    """

    vectors: Tensor
    tokens: Tensor
    loss: Tensor


class VectorQuantiser(nn.Module):
    """
    Features (b, width, h, w) to the nearest of so many ``codes``.

    The encoder follows its codes with the weight ``commitment``, the codes it with a weight of 1.
    """

    def __init__(self, codes: int, width: int, commitment: float = 0.25) -> None:
        super().__init__()
        self.commitment = commitment
        self.codebook = nn.Parameter(torch.randn(codes, width))

    def forward(self, features: Tensor) -> Quantised:
        flat = features.permute(0, 2, 3, 1)  # (b, h, w, d)
        # The square of each feature is the same for all codes.
        away = self.codebook.square().sum(dim=-1) - 2.0 * flat @ self.codebook.T
        tokens = away.argmin(dim=-1)  # (b, h, w)
        vectors = self.decode(tokens)
        follow = (vectors - features.detach()).square().mean()
        commit = (features - vectors.detach()).square().mean()
        straight = features + (vectors - features).detach()
        return Quantised(straight, tokens, follow + self.commitment * commit)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the vectors (b, d, h, w) of tokens (b, h, w)."""
        return self.codebook[tokens].permute(0, 3, 1, 2)

    @torch.jit.ignore
    def revive(self, features: Tensor, random: torch.Generator) -> int:
        """
        Put codes that no cell of features (b, d, h, w) uses at cells drawn at random.

        Else a codebook collapses: codes that start far from all features are never drawn to any.
        Returns how many there were. Call it now and then in training, never in use.
        """
        with torch.no_grad():
            used = torch.bincount(self(features).tokens.flatten(), minlength=len(self.codebook))
            unused = (used == 0).nonzero().squeeze(1)
            cells = features.permute(0, 2, 3, 1).flatten(0, 2)
            chosen = torch.randint(len(cells), (len(unused),), generator=random)
            self.codebook[unused] = cells[chosen.to(cells.device)]
        return len(unused)


class Reconstruction(NamedTuple):
    """``image`` (b, 3, h, w) as it was decoded, ``tokens`` (b, h / 4, w / 4), ``loss`` ()."""

    image: Tensor
    tokens: Tensor
    loss: Tensor


class VqVae(nn.Module):
    """Images (b, 3, h, w) float, h and w divisible by 4, to tokens of 4 x 4 pixels and back."""

    def __init__(self, codes: int, code_width: int, width: int, commitment: float = 0.25) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width // 2, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 4, 2, 1),
            ResidualBlock(width),
            ResidualBlock(width),
            nn.Conv2d(width, code_width, 1),
        )
        self.quantiser = VectorQuantiser(codes, code_width, commitment)
        self.decoder = nn.Sequential(
            nn.Conv2d(code_width, width, 3, 1, 1),
            ResidualBlock(width),
            ResidualBlock(width),
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width // 2, 3, 4, 2, 1),
        )

    def forward(self, image: Tensor) -> Reconstruction:
        """Return the image as its tokens tell it; ``loss`` is all that training minimises."""
        quantised = self.quantiser(self.encoder(image))
        decoded = self.decoder(quantised.vectors)
        loss = (decoded - image).square().mean() + quantised.loss
        return Reconstruction(decoded, quantised.tokens, loss)

    @torch.jit.export
    def decode(self, tokens: Tensor) -> Tensor:
        """Return the image (b, 3, 4 h, 4 w) that tokens (b, h, w) stand for."""
        return self.decoder(self.quantiser.decode(tokens))


def code_shares(tokens: Tensor, codes: int) -> Tensor:
    """Return (codes,): the share of the tokens (any shape) that each code has."""
    return torch.bincount(tokens.flatten(), minlength=codes) / max(1, tokens.numel())


def usage(shares: Tensor) -> float:
    """Return the share of the codes that are used at all."""
    return float((shares > 0.0).float().mean())


def perplexity(shares: Tensor) -> float:
    """Return how many codes, all used alike, would be as hard to guess as these."""
    return float(torch.special.entr(shares).sum().exp())
