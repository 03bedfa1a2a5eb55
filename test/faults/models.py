"""Small policies that keep the contract's form and break its sense."""

from __future__ import annotations

from tiny_policy import TinyPolicy
import torch
from torch import nn, Tensor

from vla_ros.models.contract import PolicyOutput


class Nan(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        b, n = text_mask.shape
        return PolicyOutput(
            torch.full((b, 3, 8), float('nan')),
            torch.zeros(b, 3),
            torch.zeros(b, 2),
            torch.zeros(b, n, 2, 3),
        )


class Throws(nn.Module):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Tensor:
        if image.size(0) > 0:
            raise ValueError('I will not')
        return image


class OneTensor(nn.Module):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Tensor:
        return state


class TooLong(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        b, n = text_mask.shape
        return PolicyOutput(
            torch.zeros(b, 4, 8),
            torch.zeros(b, 4),
            torch.zeros(b, 2),
            torch.zeros(b, n, 2, 3),
        )


class OtherInputs(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image


class Greedy(nn.Module):
    """Asks for 100 TB."""

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Tensor:
        return torch.zeros(100_000_000, 1_000_000)


NONSENSE = {
    'nan': Nan,
    'throws': Throws,
    'one_tensor': OneTensor,
    'too_long': TooLong,
    'other_inputs': OtherInputs,
    'greedy': Greedy,
}
