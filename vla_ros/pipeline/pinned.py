"""Model files by their hash: what a manifest does not pin is never given to any loader."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vla_ros.errors import ConfigurationError

#: What to do about a policy file that is not right.
FIX = 'export the policy again, or leave policy_path empty for the shipped one'


def read_pinned(path: Path, sha256: str, size_bytes: int) -> bytes:
    """
    Return the bytes of a file if they have this hash and size; whatever loads them loads these.

    Raises ConfigurationError if the file is missing, not a regular one, or another one.
    """
    check_regular(path)
    try:
        with path.open('rb') as file:
            data = file.read(size_bytes + 1)
    except (OSError, MemoryError) as error:
        reason = getattr(error, 'strerror', None) or 'out of memory'
        raise ConfigurationError(f'{path}: cannot be read ({reason}); {FIX}') from error
    if len(data) != size_bytes:
        got = 'more' if len(data) > size_bytes else len(data)
        raise ConfigurationError(
            f'{path}: got {got} bytes, expected {size_bytes} by the manifest; {FIX}'
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ConfigurationError(
            f'{path}: got sha256 {digest}, expected {sha256} by the manifest; {FIX}'
        )
    return data


def check_regular(path: Path) -> None:
    """Raise before anything is opened: opening a FIFO waits, reading a device never ends."""
    try:
        if path.is_file():
            return
        got = (
            'a directory' if path.is_dir() else 'a device or FIFO' if path.exists() else 'no file'
        )
    except OSError as error:
        got = error.strerror or str(error)
    raise ConfigurationError(f'{path}: got {got}, expected a model file; {FIX}')
