"""Parts that one policy has learned and another one starts with, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import nn, Tensor

P = TypeVar('P', bound='Part')


class Part(nn.Module):
    """A part of a policy that can be kept as another one has learned it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = False

    def keep(self, weights: Mapping[str, Tensor]) -> None:
        """
        Take the weights over for good: training changes nothing, batch norm's statistics included.

        ``weights`` may hold others as well. Raises RuntimeError if any is missing or of another
        shape.
        """
        own = self.state_dict().keys()
        self.load_state_dict({name: weights[name] for name in own if name in weights})
        self.requires_grad_(False)
        self.kept = True
        self.eval()

    def train(self: P, mode: bool = True) -> P:
        return super().train(mode and not self.kept)
