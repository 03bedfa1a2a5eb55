"""Pictures as other cameras and lamps would make them, and words as others would put them."""

from __future__ import annotations

import torch
from torch import nn, Tensor


def augment(image: Tensor, random: torch.Generator) -> Tensor:
    """
    Return images (f, c, 3, h, w) uint8 with other brightness, contrast, tint, blur and noise.

    Colours shift a little only: orange must not become red.
    """
    f, device = image.shape[0], image.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand((f, *shape), generator=random)).to(device)

    x = image.flatten(0, 1).float() / 255.0  # (f * c, 3, h, w)
    soft = torch.rand(len(x), generator=random).to(device) < 0.3
    x[soft] = nn.functional.avg_pool2d(x[soft], 3, 1, 1, count_include_pad=False)
    x = x.view_as(image)
    # Both brightness and contrast at once: gain * (x - 0.5) + 0.5 + shift.
    gain = uniform(0.7, 1.25, 1, 1, 1, 1) * uniform(0.95, 1.05, 1, 3, 1, 1)
    x = x.sub_(0.5).mul_(gain).add_(0.5 + uniform(-0.1, 0.1, 1, 1, 1, 1))
    x += uniform(0.0, 0.02, 1, 1, 1, 1) * torch.randn(x.shape, generator=random).to(device)
    return x.clamp_(0.0, 1.0).mul_(255.0).add_(0.5).to(torch.uint8)


def recolour(image: Tensor, random: torch.Generator) -> Tensor:
    """
    Return images (f, c, 3, h, w) with the three colour channels of each in another order.

    Shapes and shadows stay and every colour changes but greys: what a thing is called by its
    shape must not hang on its colour.
    """
    orders = torch.tensor([[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    chosen = orders[torch.randint(len(orders), (len(image),), generator=random)]  # (f, 3)
    chosen = chosen.to(image.device)
    return image.gather(2, chosen[:, None, :, None, None].expand_as(image))


def augment_text(
    text: Tensor, mask: Tensor, random: torch.Generator, noise: float = 0.3, dropped: float = 0.05
) -> tuple[Tensor, Tensor]:
    """
    Return token features (b, n, d) with noise, and their mask (b, n) with some tokens dropped.

    So a reader relies on what words have in common rather than on each one. The first token,
    which stands for the sentence, stays.
    """
    noisy = text + noise * torch.randn(text.shape, generator=random).to(text.device)
    kept = torch.rand(mask.shape, generator=random).to(mask.device) >= dropped
    kept[:, 0] = True
    return noisy, mask & kept
