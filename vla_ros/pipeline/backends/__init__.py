"""
What a model file runs on: one small file a backend, each with ``load(data, num_threads)``.

The manifest names the backend. Only that one is imported, and its package only when it loads:
each takes its time, and may be missing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TYPE_CHECKING

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.pinned import FIX, read_pinned

if TYPE_CHECKING:
    from torch import Tensor

    from vla_ros.models.contract import PolicyOutput


class Module(Protocol):
    """A loaded policy: the contract's forward, for one caller at a time."""

    def __call__(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor, /
    ) -> PolicyOutput: ...


def load_module(
    path: Path, backend: str, sha256: str, size_bytes: int, num_threads: int = 1
) -> Any:
    """
    Return the model at ``path`` on the CPU, if it has this hash and size.

    ``backend`` is one of ``BACKENDS`` of the manifest. Raises ConfigurationError, path first, if
    the file is another one or damaged, or what it runs on is not there.
    """
    data = read_pinned(path, sha256, size_bytes)
    try:
        return import_module(f'{__name__}.{backend}').load(data, num_threads)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'{path}: it runs on {backend}, and the package {error.name} is missing: install '
            'the extra "fast" ("python3 bootstrap.py fast"), or export the policy as TorchScript'
        ) from error
    except Exception as error:  # whatever a loader makes of damaged bytes
        raise ConfigurationError(
            f'{path}: {backend} cannot load it ({one_line(error)}); {FIX}'
        ) from error


def one_line(error: Exception) -> str:
    """Return the line that tells most: TorchScript puts the cause last, below its own trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if 'TorchScript interpreter' in lines[0] else lines[0]
