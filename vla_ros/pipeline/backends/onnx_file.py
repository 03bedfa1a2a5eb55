"""What the runtimes of ONNX files share: the names of the tensors, and one trap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vla_ros.models.contract import PolicyOutput

#: In the order of the contract.
INPUTS = ('image', 'text', 'text_mask', 'state')
OUTPUTS = PolicyOutput._fields

#: How protobuf writes the key under which a tensor names another file.
_OTHER_FILE = b'\x0a\x08location'


def check_whole(data: bytes) -> None:
    """Raise ValueError for weights in another file, which no hash would pin."""
    if _OTHER_FILE in data:
        raise ValueError('some of its weights are in another file')


def feed(*inputs: Tensor) -> dict[str, Any]:
    """Return the arrays by their names."""
    return {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)}


def output(arrays: Sequence[Any]) -> PolicyOutput:
    return PolicyOutput(*map(torch.from_numpy, arrays))
