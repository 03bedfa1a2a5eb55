"""TorchScript: the format that every policy is trained into, and the only one with gradients."""

from __future__ import annotations

import io
from typing import Any
import warnings

import torch


def load(data: bytes, num_threads: int) -> Any:
    """Return the module; ``num_threads`` is torch's, for the whole process. May raise anything."""
    torch.set_num_threads(num_threads)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        # Fusing kernels costs the first calls much and brings a transformer nothing.
        torch.jit.set_fusion_strategy([('STATIC', 0), ('DYNAMIC', 0)])
        return torch.jit.load(io.BytesIO(data), map_location='cpu').eval()
