"""
3x3 convolutions with a quarter of the multiplications, for training on plain CPUs.

Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2015): tiles of 6x6 inputs and the filter
are transformed along both axes, multiplied element by element (a matrix product over channels),
and transformed to 4x4 outputs. oneDNN does so for no CPU with AVX2, and for no backward pass. The
results differ from those of a direct convolution by rounding, by some 1e-5 of their scale.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor
from torch.overrides import TorchFunctionMode

# The transforms along one axis: of six inputs, of three weights and to four outputs.
_INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
    ]
)  # fmt: skip
_FILTER = torch.tensor(
    [
        [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
    ]
)  # fmt: skip
_OUTPUT = torch.tensor(
    [[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
)
# Along both: (36, 36), (36, 9) and (16, 36).
_INPUTS, _FILTERS, _OUTPUTS = (torch.kron(one, one) for one in (_INPUT, _FILTER, _OUTPUT))


class Winograd(TorchFunctionMode):
    """Within this context convolutions are computed this way where it fits, with gradients."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func is torch.conv2d and not kwargs and _fits(*args):
            return _Convolution.apply(*args[:2])
        return func(*args, **(kwargs or {}))


def _fits(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    groups: int = 1,
) -> bool:
    return (
        x.device.type == 'cpu'
        and x.dtype == weight.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and x.shape[2] % 4 == x.shape[3] % 4 == 0
        and bias is None
        and (stride, padding, dilation, groups) == ((1, 1), (1, 1), (1, 1), 1)
    )


class _Convolution(torch.autograd.Function):
    """Images (n, c, h, w) and filters (k, c, 3, 3) to (n, k, h, w), all of them channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        y, tiles = _convolved(x, weight)
        ctx.save_for_backward(tiles, weight)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        tiles, weight = ctx.saved_tensors
        (of_y,) = gradients
        k, c = weight.shape[:2]
        n, _, h, w = of_y.shape
        # Gradients of inputs are the convolution with the filters turned round.
        of_x, _ = _convolved(of_y, weight.transpose(0, 1).flip(2, 3))
        parts = of_y.permute(0, 2, 3, 1).reshape(n, h // 4, 4, w // 4, 4, k)
        products = _OUTPUTS.t() @ parts.permute(2, 4, 0, 1, 3, 5).reshape(16, -1)
        filters = torch.bmm(tiles.transpose(1, 2), products.view(36, -1, k))
        of_weight = (_FILTERS.t() @ filters.view(36, -1)).view(3, 3, c, k)
        return of_x, of_weight.permute(3, 2, 0, 1)


def _convolved(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the result, and the transformed tiles of x, (36, t, c)."""
    n, c, h, w = x.shape
    k = weight.shape[0]
    padded = nn.functional.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    tiles = padded.unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3)
    tiles = (_INPUTS @ tiles.reshape(36, -1)).view(36, -1, c)
    filters = (_FILTERS @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, c, k)
    y = _OUTPUTS @ torch.bmm(tiles, filters).view(36, -1)
    y = y.view(4, 4, n, h // 4, w // 4, k).permute(2, 3, 0, 4, 1, 5)
    return y.reshape(n, h, w, k).permute(0, 3, 1, 2), tiles
