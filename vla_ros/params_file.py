"""What ROS would ignore in a user's parameter file, or refuse without a name, told in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vla_ros import paths
from vla_ros.errors import ConfigurationError


def check_params_file(path: Path, nodes: Sequence[str]) -> None:
    """Raise ConfigurationError unless ``path`` is a parameter file for some of ``nodes``."""
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else ' '.join(str(error).split())
        raise ConfigurationError(f'params_file {path}: {reason}') from error
    sections = document.values() if isinstance(document, dict) else [None]
    if not all(isinstance(s, dict) and 'ros__parameters' in s for s in sections):
        raise ConfigurationError(
            f'params_file {path}: every node needs ros__parameters, as in '
            f'{paths.share_dir() / "config" / "vla.yaml"}: "/**/pose:" and below it '
            '"ros__parameters:"'
        )
    _check_node_names(path, document, nodes)
    for section in document.values():
        if isinstance(section['ros__parameters'], dict):
            _check_numbers(path, section['ros__parameters'])


def _check_node_names(path: Path, sections: Iterable[str], nodes: Sequence[str]) -> None:
    """Refuse a section that is for none of the nodes: ROS would ignore it without a word."""
    valid = {'*', '**', *nodes}
    for section in sections:
        if str(section).rpartition('/')[2] not in valid:
            raise ConfigurationError(
                f'params_file {path}: {section!r} names none of the nodes '
                f'{", ".join(nodes)}, as in "/**/pose:"'
            )


def _check_numbers(path: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse lists of whole and decimal numbers: ROS reads none, and names no parameter then."""
    for name, value in parameters.items():
        kinds = {type(item) for item in value} if isinstance(value, list) else set()
        if kinds == {int, float}:
            raise ConfigurationError(
                f'params_file {path}: {name} is {value}, whole and decimal numbers in one list; '
                f'write {[float(number) for number in value]}'
            )
