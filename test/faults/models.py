"""Small policies that keep the contract's form and break its sense."""

from __future__ import annotations

from pathlib import Path

from tiny_policy import TinyPolicy, write_policy
import torch
from torch import nn, Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest


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


class Endless(nn.Module):
    """Never returns."""

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor) -> Tensor:
        while bool(state.isfinite().all()):
            state = state.clamp(-1.0, 1.0)
        return state


NONSENSE = {
    'nan': Nan,
    'throws': Throws,
    'one_tensor': OneTensor,
    'too_long': TooLong,
    'other_inputs': OtherInputs,
    'greedy': Greedy,
    'endless': Endless,
}


class Roaming(TinyPolicy):
    """Goes about in the middle of the workspace for ever, by chance."""

    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        b, n = text_mask.shape
        middle = torch.tensor([0.44, 0.0, 0.23])
        away = state[:, :3] + 0.12 * (torch.rand(b, 3) - 0.5)
        place = torch.minimum(torch.maximum(away, middle - 0.15), middle + 0.15)
        row = torch.cat([place, state[:, 3:]], 1)
        return PolicyOutput(
            row[:, None, :].expand(b, 10, 8).contiguous(),
            torch.zeros(b, 10),
            torch.zeros(b, 2),
            torch.full((b, n, 2, 3), 1.0 / (6 * n)),
        )


def write_roaming(path: Path) -> Path:
    """Write it for the shipped camera and text encoder."""
    shipped = read_manifest(shipped_policy_path())
    fields = {'cameras': shipped.cameras, 'text_encoder': shipped.text_encoder, 'horizon': 10}
    return write_policy(path, Roaming(), **fields)
