"""What is in the folder of a run is used again, so a folder serves one configuration alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vla_ros.errors import ConfigurationError
from vla_ros.training.config import document_of, load_config, merged, save_config, TrainConfig

_SHOWN = 3
_NOT_SET = 'not set'


def config_path(folder: Path) -> Path:
    """Return where the configuration of a run lies."""
    return folder / 'config.yaml'


def config_of(path: Path, config: Path | None = None) -> Path | None:
    """Return ``config``, else the one beside the policy at ``path``, None if there is none."""
    beside = config_path(path.parent)
    return config or (beside if beside.is_file() else None)


def begin(config: TrainConfig, folder: Path, option: str) -> None:
    """Make the folder of a run, with its configuration; raises as ``check_begun``."""
    check_begun(config, folder, option)
    folder.mkdir(parents=True, exist_ok=True)
    save_config(config, config_path(folder))


def check_begun(config: TrainConfig, folder: Path, option: str) -> None:
    """
    Raise ConfigurationError if a run in ``folder`` was begun with another configuration.

    Its checkpoint would go on, or be exported, as if it were of this one. ``option`` is what
    another folder is chosen with.
    """
    if found := differences(config, folder):
        raise ConfigurationError(
            f'{folder} was begun with another configuration: {found}; '
            f'remove the folder, or choose another {option}'
        )


def differences(config: TrainConfig, folder: Path, settings: tuple[str, ...] = ('',)) -> str:
    """
    Tell how the configuration of a run differs from ``config``; '' if it does not.

    Only those settings count whose names begin with one of ``settings``. A folder without a
    configuration differs in nothing. Raises ConfigurationError if what is there is none.
    """
    path = config_path(folder)
    if not path.exists():
        return ''
    begun = document_of(load_config(path))
    # Options that the run was not given are the policy's own, not those of the default training.
    begun['options'] = merged(path).get('options', {})
    there, here = dict(_flat(begun)), dict(_flat(document_of(config)))
    found = [
        f'{name} is {there.get(name, _NOT_SET)} there and {here.get(name, _NOT_SET)} here'
        for name in dict.fromkeys((*there, *here))
        if name.startswith(settings) and there.get(name, _NOT_SET) != here.get(name, _NOT_SET)
    ]
    more = [f'{len(found) - _SHOWN} more'] if len(found) > _SHOWN else []
    return ', '.join(found[:_SHOWN] + more)


def _flat(document: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield each setting with its full name, such as ``trainer.steps``."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value
