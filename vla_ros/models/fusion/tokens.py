"""
What goes into every fusion and what comes out of it.

A fusion takes the tokens of three modalities: the cells of the image row by row, the words of the
command, and the robot's state. All have the same width, and their positions in them already. Any
modality may be absent, in some rows of a batch or in all; what a mask hides changes nothing.
"""

from typing import NamedTuple, Protocol

import torch
from torch import nn, Tensor


class Tokens(NamedTuple):
    """
    The tokens of one modality: ``tokens`` (b, n, width) and ``mask`` (b, n) bool, true if there.

    n may be 0. Nothing that is masked is looked at; it may be NaN.
    """

    tokens: Tensor
    mask: Tensor


class Fused(NamedTuple):
    """
    ``tokens`` (b, t, width) float, zeros where ``mask`` (b, t) bool is false; never all of a row.

    ``attention`` (b, n, c) float32: how much each of the n words looks at each of the c cells. It
    is not negative, sums to at most one over the cells, and is zero for what is absent; as
    (b, n, gh, gw) it is what ``vla_ros.models.contract`` asks for. ``auxiliary_loss`` () is to be
    added, times some 0.01, to that of the task; ``dropped`` (b,) int64 counts how often a token
    chose an expert that had no room for it. Both are 0 for all but a mixture of experts.
    """

    tokens: Tensor
    mask: Tensor
    attention: Tensor
    auxiliary_loss: Tensor
    dropped: Tensor


class Fusion(Protocol):
    """
    A scriptable ``nn.Module``, built as ``cls(width, **options)`` and registered by name.

    Register one with ``vla_ros.models.fusion.registry.register_fusion``; ``fusion.early`` is the
    shortest to copy.
    """

    def __call__(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused: ...


class Entrance(nn.Module):
    """
    Readies the modalities for a fusion: each gets one token more, in front, and its own mark.

    The first token of a modality is learned and there just where all others are absent. So every
    modality has something to be attended to, and the rest can tell that it is missing. What is
    masked becomes zero.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.missing = nn.Parameter(torch.randn(3, width) * 0.1)
        self.kind = nn.Parameter(torch.randn(3, width) * 0.1)

    def forward(
        self, vision: Tokens, text: Tokens, state: Tokens
    ) -> tuple[Tokens, Tokens, Tokens]:
        return self._ready(vision, 0), self._ready(text, 1), self._ready(state, 2)

    def _ready(self, modality: Tokens, index: int) -> Tokens:
        """Return tokens (b, 1 + n, width)."""
        there = modality.mask
        tokens = (modality.tokens + self.kind[index]).masked_fill(~there[:, :, None], 0.0)
        absent = ~there.any(dim=1, keepdim=True)  # (b, 1)
        missing = self.missing[index] * absent[:, :, None]
        return Tokens(
            torch.cat([missing.to(tokens.dtype), tokens], dim=1), torch.cat([absent, there], dim=1)
        )


def joined(first: Tokens, second: Tokens) -> Tokens:
    """Return the tokens of both, one after the other."""
    return Tokens(
        torch.cat([first.tokens, second.tokens], dim=1),
        torch.cat([first.mask, second.mask], dim=1),
    )


def all_joined(vision: Tokens, text: Tokens, state: Tokens) -> Tokens:
    """Return the tokens of all three, one after the other."""
    return joined(joined(vision, text), state)


def fused(tokens: Tensor, mask: Tensor, attention: Tensor) -> Fused:
    """Return a result without a mixture of experts; what is masked becomes zero."""
    return Fused(
        tokens.masked_fill(~mask[:, :, None], 0.0),
        mask,
        attention,
        auxiliary_loss=torch.zeros([], device=tokens.device),
        dropped=torch.zeros([tokens.shape[0]], dtype=torch.int64, device=tokens.device),
    )


def at_least_one(layers: int) -> int:
    """Return the number of layers; raises ValueError for fewer than one."""
    if layers < 1:
        raise ValueError(f'got {layers} layers, expected at least 1')
    return layers
