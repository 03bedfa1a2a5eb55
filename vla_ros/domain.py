"""The ROS domain of this process, and who may run a graph on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
import tempfile

from vla_ros.errors import ConfigurationError


def domain_id(environment: Mapping[str, str] = os.environ) -> int:
    """Return the ROS domain; raises ConfigurationError if ROS_DOMAIN_ID is none."""
    text = environment.get('ROS_DOMAIN_ID') or '0'
    if not (text.isascii() and text.isdigit() and int(text) <= 232):
        raise ConfigurationError(f'ROS_DOMAIN_ID is {text!r}; valid: 0 to 232, best 0 to 101')
    return int(text)


@contextmanager
def only_graph(namespace: str, folder: Path | None = None) -> Iterator[None]:
    """
    Be the only graph on this ROS domain and namespace of this machine's user.

    Raises ConfigurationError if there is one already: two robots would obey the same command.
    """
    domain, name = domain_id(), namespace.strip('/')
    path = (folder or _runtime_folder()) / f'domain{domain}-{name.replace("/", ".")}.lock'
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open('a+')
    except OSError as error:
        raise ConfigurationError(
            f'{path}: {error.strerror}; free space there, or set XDG_RUNTIME_DIR to a folder '
            'that can be written'
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or 'unknown'
            raise ConfigurationError(
                f'a graph runs already on ROS domain {domain}, namespace /{name} (process '
                f'{holder}): end that one, or start beside it with --namespace NAME or another '
                'ROS_DOMAIN_ID'
            ) from error
        with suppress(OSError):  # a full disk: the lock holds all the same
            file.truncate(0)
            file.write(f'{os.getpid()}\n')
            file.flush()
        yield


def _runtime_folder() -> Path:
    if 'XDG_RUNTIME_DIR' in os.environ:
        return Path(os.environ['XDG_RUNTIME_DIR']) / 'vla_ros'
    return Path(tempfile.gettempdir()) / f'vla_ros-{os.getuid()}'
