"""The user's own commands to test a policy with: JSON lines, read strictly."""

from __future__ import annotations

import json
from pathlib import Path

from vla_ros.errors import ConfigurationError
from vla_ros.sim.tasks import Task

_KEYS = ('task', 'object', 'zone', 'text')
EXAMPLE = '{"task": "pick", "object": "red block", "zone": null, "text": "get the red cube"}'


def read_commands(path: Path) -> list[tuple[Task, str]]:
    """
    Return what each line of the file means, and its text. Empty lines do not count.

    Raises ConfigurationError, with file and line, for what cannot be read or cannot be asked.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is no UTF-8 text'
        raise ConfigurationError(f'{path}: cannot be read: {reason}') from error
    commands = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                commands.append(_read(line))
            except (ValueError, ConfigurationError, RecursionError) as error:
                raise ConfigurationError(
                    f'{path}, line {number}: {error}; a line looks like {EXAMPLE}'
                ) from error
    if not commands:
        raise ConfigurationError(f'{path}: no commands; a line looks like {EXAMPLE}')
    return commands


def _read(line: str) -> tuple[Task, str]:
    document = json.loads(line)
    if not isinstance(document, dict) or sorted(document) != sorted(_KEYS):
        raise ValueError(f'got {line.strip()[:80]!r}, expected an object of {", ".join(_KEYS)}')
    for key in _KEYS:
        value = document[key]
        if not isinstance(value, str) and not (key == 'zone' and value is None):
            raise ValueError(f'{key}: got {json.dumps(value)[:60]}, expected a string')
    task = Task(document['task'], document['object'], document['zone'])
    return task, document['text']
