"""
Frozen dataclasses read from JSON files, strictly.

Every field without a default must be there, with the right type, and nothing else may be; one
clear sentence tells what was expected otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, MISSING
import json
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints, TypeVar

from vla_ros.errors import ConfigurationError

T = TypeVar('T')

#: More than any manifest needs: a wrong file is refused before it fills the memory.
MAX_BYTES = 1_000_000


def read_json(cls: type[T], path: Path, fix: str) -> T:
    """
    Return the dataclass ``cls`` that the JSON file at ``path`` describes.

    ``cls.__post_init__`` may raise ValueError. Raises ConfigurationError with the path, the
    reason and ``fix``, which tells how to get a right file.
    """
    try:
        if not path.is_file():
            raise ValueError(
                'it is not a regular file' if path.exists() else 'there is no such file'
            )
        with path.open('rb') as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f'got more than {MAX_BYTES} bytes')
        document = json.loads(
            data.decode('utf-8'), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        return parse(cls, document)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f'{path}: {reason}; {fix}') from error


def parse(cls: type[T], document: Any) -> T:
    """Return the dataclass ``cls`` that JSON-like data describes; raises ValueError."""
    return _parse(cls, document, '')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError(f'a key stands twice among {", ".join(key for key, _ in pairs)}')
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f'{name} is not JSON')


def _parse(kind: Any, value: Any, where: str) -> Any:
    """Return ``value`` as ``kind``: a dataclass, tuple[X, ...], Mapping[str, X], Any, a scalar."""
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _parse_dataclass(kind, _expect(dict, value, where), where)
    origin = get_origin(kind)
    if origin is tuple:
        items, types = _expect(list, value, where), get_args(kind)
        if types[-1] is Ellipsis:
            types = (types[0],) * len(items)
        if len(types) != len(items):
            raise ValueError(f'{where}: got {len(items)} items, expected {len(types)}')
        return tuple(
            _parse(t, item, f'{where}[{i}]')
            for i, (t, item) in enumerate(zip(types, items, strict=True))
        )
    if origin is Mapping:
        item_type = get_args(kind)[1]
        return {
            key: _parse(item_type, item, f'{where}.{key}')
            for key, item in _expect(dict, value, where).items()
        }
    if kind is float and type(value) is int:
        return float(value)
    return _expect(kind, value, where)


def _parse_dataclass(cls: Any, document: dict[str, Any], where: str) -> Any:
    names = [f.name for f in fields(cls)]
    prefix = f'{where}.' if where else ''
    required = [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
    missing = [name for name in required if name not in document]
    if missing:
        raise ValueError(f'{prefix}{missing[0]} is missing')
    unknown = [name for name in document if name not in names]
    if unknown:
        raise ValueError(f'got unknown {prefix}{unknown[0]}, expected only {", ".join(names)}')
    types = get_type_hints(cls)
    values = {name: _parse(types[name], value, prefix + name) for name, value in document.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f'{prefix}{error}') from error


def _expect(kind: type, value: Any, where: str) -> Any:
    # A bool is an int to Python, but not to the reader of a manifest.
    if type(value) is not kind:
        shown = json.dumps(value)
        shown = shown if len(shown) <= 60 else shown[:57] + '...'
        names = {'dict': 'an object', 'list': 'an array', 'str': 'a string', 'bool': 'a boolean'}
        expected = names.get(kind.__name__, f'a number ({kind.__name__})')
        raise ValueError(f'{where or "document"}: got {shown}, expected {expected}')
    return value
