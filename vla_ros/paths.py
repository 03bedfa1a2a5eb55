"""Where the package's own files and the user's cache lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import sys

from vla_ros.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """Return the folder of the data shipped inside the package."""
    return _PACKAGE / 'data'


def shipped_policy_path() -> Path:
    """Return the TorchScript file of the shipped policy."""
    return data_dir() / 'policy' / 'tabletop.pt'


def lexicon_path() -> Path:
    """Return the file of the shipped lexicon."""
    return data_dir() / 'lexicon.json'


def share_dir() -> Path:
    """
    Return the folder that holds ``config`` and ``launch``.

    The ament index knows it where the package was built with colcon, ``sys.prefix`` where pip
    installed it; else it is the source tree. Raises ConfigurationError if none has them.
    """
    candidates = [_ament_share(), Path(sys.prefix) / 'share' / 'vla_ros', _PACKAGE.parent]
    for candidate in candidates:
        if candidate is not None and (candidate / 'config').is_dir():
            return candidate
    raise ConfigurationError(
        f'no config folder of vla_ros in {", ".join(str(c) for c in candidates if c)}; '
        'install the package again, or run from a checkout'
    )


def _ament_share() -> Path | None:
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory('vla_ros'))
    except (ImportError, LookupError, OSError):
        return None


def cache_dir(chosen: str = '') -> Path:
    """
    Return the cache folder, not yet created: ``chosen``, or one in the user's own cache.

    Raises ConfigurationError for a user without a home folder.
    """
    base = Path(os.environ.get('XDG_CACHE_HOME', ''))
    if not chosen and base.is_absolute():  # the XDG specification says to ignore relative paths
        return base / 'vla_ros'
    try:
        return Path(chosen or '~/.cache/vla_ros').expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f'no cache folder ({error}); choose one with cache_dir or XDG_CACHE_HOME'
        ) from error


def state_dir() -> Path:
    """
    Return the folder, not yet created, of what nodes remember: below ``ROS_HOME``, or ~/.ros.

    Raises ConfigurationError for a user without a home folder.
    """
    try:
        return Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser() / 'vla_ros'
    except RuntimeError as error:
        raise ConfigurationError(f'no state folder ({error}); choose one with ROS_HOME') from error


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """
    Create ``folder`` in the cache and let the block write there.

    Turns any OSError, of the block too, into a ConfigurationError that says what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigurationError(
            f'{folder}: the cache folder cannot be written ({error.strerror or error}); '
            'free space there, mend its permissions, or choose another folder with cache_dir or '
            'XDG_CACHE_HOME'
        ) from error
