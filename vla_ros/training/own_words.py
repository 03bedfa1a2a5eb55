"""Words of one's own for colours, shapes and zones, from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vla_ros.errors import ConfigurationError
from vla_ros.training.config import merged
from vla_ros.training.grammar import language

#: Phrases by the keys of the rules in ``language.yaml`` that they are said in place of.
Words = Mapping[tuple[str, ...], Sequence[str]]
NO_WORDS: Words = {}


def read_words(path: Path) -> Words:
    """
    Return the phrases of a file like ``config/train/words.yaml``.

    Raises ConfigurationError if it cannot be read, or names something that no command is about.
    """
    document = merged(path)
    if not document:
        raise ConfigurationError(f'{path}: has no words; see config/train/words.yaml')
    found: dict[tuple[str, ...], Sequence[str]] = {}
    for part, below in document.items():
        named = below if isinstance(below, dict) else {None: below}
        for name, phrases in named.items():
            keys = (part,) if name is None else (part, name)
            if keys not in _KEYS:
                valid = ', '.join('/'.join(keys) for keys in _KEYS)
                raise ConfigurationError(f'{path}: nothing is called {keys}; valid: {valid}')
            if not (isinstance(phrases, list) and phrases and all(map(_is_phrase, phrases))):
                raise ConfigurationError(
                    f'{path}: {"/".join(keys)} is {phrases!r}, expected a list of phrases'
                )
            found[keys] = phrases
    return found


def _is_phrase(phrase: object) -> bool:
    return isinstance(phrase, str) and bool(phrase.strip())


_KEYS = (
    *((part, name) for part in ('colours', 'shapes') for name in language()[part]),
    ('zones',),
)
