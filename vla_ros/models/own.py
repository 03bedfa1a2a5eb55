"""Policies and fusions of other packages, found by an entry-point group in every process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import entry_points
import inspect
from typing import Any

from vla_ros.errors import ConfigurationError

#: Each entry is a module that registers what it has when it is imported.
GROUP = 'vla_ros.policies'
#: What to do where a name is not known.
FIX = f'one of your own is found by the entry-point group {GROUP}, see docs/models.md'


@cache
def load_own() -> None:
    """Import the modules of the group, once; raises ConfigurationError for one that fails."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:  # whatever the code of another package raises
            raise ConfigurationError(
                f'{entry.name} = {entry.value!r} of the entry points {GROUP} cannot be loaded: '
                f'{type(error).__name__}: {error}; mend or uninstall its package'
            ) from error


def check_free(kind: str, name: str, taken: Callable[..., Any] | None, by: Any) -> None:
    """
    Raise ConfigurationError if a name was ``taken`` by something else; None is nothing.

    A module that runs as a program and is imported as well registers the same twice.
    """
    if taken is not None and _origin(taken) != _origin(by):
        file, qualified, _ = _origin(taken)
        raise ConfigurationError(
            f'{kind} {name!r}: the name is that of {qualified} in {file}; register another name'
        )


def _origin(build: Any) -> tuple[str | None, str, tuple[Any, ...]]:
    given: tuple[Any, ...] = ()
    while isinstance(build, partial):
        given, build = (*build.args, *given), build.func
    return inspect.getsourcefile(build), build.__qualname__, given
