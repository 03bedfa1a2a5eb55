"""
3x3 convolutions with a quarter of the multiplications, for training on plain CPUs.

Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2015): tiles of 6x6 inputs and the filter
are transformed along both axes, multiplied element by element (a matrix product over channels),
and transformed to 4x4 outputs. oneDNN does so for no CPU with AVX2, and for no backward pass. The
results differ from those of a direct convolution by rounding, by some 1e-5 of their scale.

The transforms are in ``winograd.c``. Where there is no C compiler, convolutions stay as they are.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
import subprocess
import tempfile
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SOURCE = Path(__file__).with_name('winograd.c')
#: Channels that the transforms take at once.
_LANES = 8
#: The transform of a filter along one axis, (6, 3), and along both, (36, 9).
_FILTER = torch.tensor(
    [
        [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
    ]
)  # fmt: skip
_FILTERS = torch.kron(_FILTER, _FILTER)


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
        and weight.shape[0] % _LANES == weight.shape[1] % _LANES == 0
        and bias is None
        and (stride, padding, dilation, groups) == ((1, 1), (1, 1), (1, 1), 1)
        and _compiled() is not None
    )


@cache
def _compiled() -> ctypes.CDLL | None:
    """Return the transforms, compiled for this very machine, None if that cannot be done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'winograd.so'
        command = ['cc', '-O3', '-march=native', '-shared', '-fPIC', '-o', str(path), str(_SOURCE)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            return ctypes.CDLL(str(path))
        except (OSError, subprocess.SubprocessError):
            return None


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
        # Gradients of inputs are the convolution with the filters turned round.
        of_x, _ = _convolved(of_y, weight.transpose(0, 1).flip(2, 3))
        of_products = _tiles('outputs_back', of_y)
        of_filters = torch.bmm(tiles.transpose(1, 2), of_products)
        of_weight = (_FILTERS.t() @ of_filters.view(36, -1)).view(3, 3, c, k)
        return of_x, of_weight.permute(3, 2, 0, 1)


def _convolved(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the result, and the transformed tiles of x."""
    k, c = weight.shape[:2]
    tiles = _tiles('inputs', x)
    filters = (_FILTERS @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, c, k)
    products = torch.bmm(tiles, filters)
    y = x.new_empty(x.shape[0], *x.shape[2:], k)
    _transform('outputs', products, y, y)
    return y.permute(0, 3, 1, 2), tiles


def _tiles(name: str, images: Tensor) -> Tensor:
    """Return (36, t, c): a transform of the t tiles, 4x4 each, of images (n, c, h, w)."""
    images = images.permute(0, 2, 3, 1).contiguous()
    n, h, w, c = images.shape
    tiles = images.new_empty(36, n * (h // 4) * (w // 4), c)
    _transform(name, images, tiles, images)
    return tiles


def _transform(name: str, source: Tensor, into: Tensor, images: Tensor) -> None:
    """Call a function of ``winograd.c``; ``images`` is that of the two that is (n, h, w, c)."""
    function = getattr(_compiled(), name)
    pointers = (ctypes.c_void_p(part.data_ptr()) for part in (source, into))
    function(*pointers, *(ctypes.c_long(size) for size in images.shape))
