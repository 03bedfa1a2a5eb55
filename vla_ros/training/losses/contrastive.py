"""Pairs that belong together are to be alike: CLIP (Radford et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import nn, Tensor
from torch.nn import functional

#: Where the temperature starts, and the lowest that it may have: both as published.
_START, _LOWEST = 0.07, 0.01


class ContrastiveLoss(nn.Module):
    """Which text belongs to which image, and the other way round; the temperature is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1.0 / _START)))

    @property
    def temperature(self) -> float:
        return math.exp(-float(self.log_scale.detach()))

    def forward(self, images: Tensor, texts: Tensor, same: Tensor | None = None) -> Tensor:
        """
        Return the loss (); row i of images (b, d) and of texts (b, d) are a pair.

        Rows with an equal number in ``same`` (b,) int64 mean the same and are all right for each
        other: demonstrations often share their command.
        """
        with torch.no_grad():  # a clamp with a gradient would never let go of the limit
            self.log_scale.clamp_(max=math.log(1.0 / _LOWEST))
        images, texts = functional.normalize(images, dim=-1), functional.normalize(texts, dim=-1)
        logits = self.log_scale.exp() * images @ texts.T  # (b, b)
        if same is None:
            same = torch.arange(len(images), device=images.device)
        right = (same[:, None] == same).to(logits.dtype)
        right = right / right.sum(dim=1, keepdim=True)
        to_text = functional.cross_entropy(logits, right)
        to_image = functional.cross_entropy(logits.T, right)
        return (to_text + to_image) / 2.0
