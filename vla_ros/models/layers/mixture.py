"""
A mixture of experts: every token is worked on by the few experts that its router chooses.

Top-k routing with capacity as in GShard (Lepikhin et al. 2020) and the loss that balances the
experts as in Switch (Fedus et al. 2021). Capacity is counted in every sequence by itself, so that
the other sequences of a batch change nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn, Tensor


class Mixture(NamedTuple):
    """
    What the experts made of b sequences.

    ``tokens`` (b, n, width), zeros where no expert took a token; ``balance_loss`` (): 1 where the
    experts share the work evenly, up to their number where one has it all, 0 without tokens;
    ``dropped`` (b,) int64: choices that found their expert full; ``load`` (experts,): the share
    of all choices that fell on each.
    """

    tokens: Tensor
    balance_loss: Tensor
    dropped: Tensor
    load: Tensor


class MixtureOfExperts(nn.Module):
    """
    Tokens (b, n, width) through ``top_k`` of ``experts`` feed-forward nets each.

    An expert takes at most ``capacity`` times its even share of a sequence; first choices go
    before second ones, early tokens before late ones. To be added to its input, so that a token
    that no expert takes passes unchanged.
    """

    def __init__(
        self, width: int, hidden: int, experts: int, top_k: int = 2, capacity: float = 1.5
    ) -> None:
        super().__init__()
        if not 1 <= top_k <= experts:
            raise ValueError(f'top_k is {top_k}, expected 1 to {experts}, the number of experts')
        if not capacity > 0.0:
            raise ValueError(f'capacity is {capacity}, expected above 0')
        self.experts = experts
        self.top_k = top_k
        self.capacity = capacity
        self.router = nn.Linear(width, experts, bias=False)
        # All experts in one tensor each; every slice starts like a Linear of torch.
        self.widen = nn.Parameter(_uniform([experts, width, hidden], width))
        self.widen_bias = nn.Parameter(_uniform([experts, 1, hidden], width))
        self.narrow = nn.Parameter(_uniform([experts, hidden, width], hidden))
        self.narrow_bias = nn.Parameter(_uniform([experts, 1, width], hidden))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Mixture:
        """``mask`` (b, n) bool is true where there is a token; the others take no place."""
        b, n, _ = x.shape
        there = torch.ones([b, n], device=x.device) if mask is None else mask.float()
        probability = torch.softmax(self.router(x).float(), dim=-1)  # (b, n, e)
        gate, expert = probability.topk(self.top_k, dim=-1)  # (b, n, k)
        if self.top_k > 1:
            # A single gate stays as it is: divided by itself, it would teach the router nothing.
            gate = gate / gate.sum(dim=-1, keepdim=True)

        # Choices in the order in which they are served, (b, k * n, e): all first ones, then all
        # second ones.
        chosen = nn.functional.one_hot(expert, self.experts).float() * there[:, :, None, None]
        queue = chosen.transpose(1, 2).flatten(1, 2)
        place = (queue.cumsum(dim=1) - queue).long()
        even = there.sum(dim=1) * self.top_k / self.experts  # (b,)
        capacity = torch.ceil(even * self.capacity)[:, None, None]
        taken = queue * (place < capacity)

        # (b, k * n, e, s): which choice sits on which of the expert's s seats. One seat is to
        # spare, for the capacity above is rounded in float32.
        seats = min(n, int(math.ceil(n * self.top_k / self.experts * self.capacity)) + 1)
        seat = nn.functional.one_hot(place.clamp(max=seats - 1), seats).to(taken.dtype)
        seat = (taken[:, :, :, None] * seat).view(b, self.top_k, n, self.experts, seats)
        brought = torch.einsum('bnes,bnd->besd', seat.sum(dim=1).to(x.dtype), x)
        worked = nn.functional.gelu(brought @ self.widen + self.widen_bias)
        worked = worked @ self.narrow + self.narrow_bias  # (b, e, s, d)
        share = (gate.transpose(1, 2)[:, :, :, None, None] * seat).sum(dim=1)  # (b, n, e, s)
        tokens = torch.einsum('bnes,besd->bnd', share.to(x.dtype), worked)

        count = there.sum().clamp(min=1.0)
        load = queue.sum(dim=[0, 1]) / (count * self.top_k)  # (e,)
        wanted = (probability * there[:, :, None]).sum(dim=[0, 1]) / count
        dropped = (queue - taken).sum(dim=[1, 2]).long()
        return Mixture(tokens, self.experts * (load * wanted).sum(), dropped, load)


def _uniform(shape: list[int], inputs: int) -> Tensor:
    return (torch.rand(shape) * 2.0 - 1.0) * inputs**-0.5
