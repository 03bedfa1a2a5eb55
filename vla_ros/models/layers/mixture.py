"""
A mixture of experts: every token is worked on by the few experts that its router chooses.

Top-k routing with capacity as in GShard (Lepikhin et al. 2020) and the loss that balances the
experts as in Switch (Fedus et al. 2021). Capacity is counted in every sequence by itself, so that
the other sequences of a batch change nothing.
"""

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

        # Choices in the order in which they are served, (b, k * n): all first ones, then all
        # second ones.
        choice = expert.transpose(1, 2).flatten(1)
        asks = there.repeat(1, self.top_k)
        queue = nn.functional.one_hot(choice, self.experts).float() * asks[:, :, None]
        place = (queue.cumsum(dim=1) - queue).gather(2, choice[:, :, None]).squeeze(2)
        even = there.sum(dim=1, keepdim=True) * self.top_k / self.experts  # (b, 1)
        taken = (asks > 0) & (place < torch.ceil(even * self.capacity))

        # Each expert has so many seats in every sequence, one of them to spare, for the capacity
        # above is rounded in float32. Who gets none sits on one more seat, where nobody works.
        seats = min(n, int(math.ceil(n * self.top_k / self.experts * self.capacity)) + 1)
        nowhere = self.experts * seats
        seat = torch.where(taken, choice * seats + place.long(), nowhere)
        seat = seat[:, :, None].expand(-1, -1, x.shape[2])  # (b, k * n, d)
        brought = x.new_zeros([b, nowhere + 1, x.shape[2]])
        brought = brought.scatter(1, seat, x.repeat(1, self.top_k, 1))[:, :nowhere]
        brought = brought.unflatten(1, [self.experts, seats]).transpose(0, 1).flatten(1, 2)
        worked = nn.functional.gelu(brought @ self.widen + self.widen_bias)
        worked = worked @ self.narrow + self.narrow_bias  # (e, b * s, d)
        worked = worked.unflatten(1, [b, seats]).transpose(0, 1).flatten(1, 2)
        worked = nn.functional.pad(worked, [0, 0, 0, 1])  # (b, e * s + 1, d)
        back = worked.gather(1, seat).unflatten(1, [self.top_k, n])  # (b, k, n, d)
        tokens = (gate.transpose(1, 2)[:, :, :, None].to(back.dtype) * back).sum(dim=1)

        count = there.sum().clamp(min=1.0)
        load = queue.sum(dim=[0, 1]) / (count * self.top_k)  # (e,)
        wanted = (probability * there[:, :, None]).sum(dim=[0, 1]) / count
        dropped = ((asks > 0) & ~taken).sum(dim=1)
        return Mixture(tokens, self.experts * (load * wanted).sum(), dropped, load)


def _uniform(shape: list[int], inputs: int) -> Tensor:
    return (torch.rand(shape) * 2.0 - 1.0) * inputs**-0.5
