"""
Rare words by plainer ones: 'grab the crimson orb' is read as 'grab the red ball'.

Sentence encoders know which words are used alike, hardly which colour a thing has. A dictionary
does. Words that the policy was trained on are not looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
import hashlib
import json
from pathlib import Path
import re

from vla_ros.pipeline.strict_json import read_json

_COLOURED = ('coloured', 'colored', 'colour', 'color')
#: A thing stands for its colour before any word but these: the banana block, the banana there.
_FUNCTION_WORDS = """
    a about again ahead an and are as at away be before behind but by can carefully could do down
    first for from gently go has here i in inside instead into is it its me my never next not now
    of off on onto or out over please rather should so than thank thanks that the then there this
    those to too toward towards under until up was what when where which who will with would you
    your
"""
#: And right after these, where a thing would have an article: painted banana, in banana.
_COPULAS = """
    appearing being color colored colour coloured in into is looking looks of on onto painted to
"""
_COLOURING = frozenset(_COPULAS.split())
_NO_NOUN = frozenset(('', *_FUNCTION_WORDS.split()))
_MARKS = '.,;:!?"\')'


@dataclass(frozen=True)
class Lexicon:
    """
    Plain words by rare ones.

    ``colours`` are names of colours, ``things`` have a typical colour, ``shapes`` have a typical
    shape. ``nouns`` are plain words for what may have a colour.
    """

    colours: Mapping[str, str]
    things: Mapping[str, str]
    shapes: Mapping[str, str]
    nouns: tuple[str, ...]

    @cached_property
    def _has_colour(self) -> frozenset[str]:
        return frozenset((*self.nouns, *self.shapes, *_COLOURED))

    @cached_property
    def _plain_colours(self) -> frozenset[str]:
        return frozenset(self.colours.values())

    def plain(self, text: str) -> str:
        """Return ``text`` with rare words of colour and shape replaced by plain ones."""
        words = text.replace('-', ' ').split()
        return ' '.join(self._plain(words, i) for i in range(len(words)))

    def _plain(self, words: list[str], i: int) -> str:
        word, mark = re.fullmatch(r'(.*?)([^\w]*)', words[i], re.DOTALL).groups()  # type: ignore[union-attr]
        key = word.lower()
        following = words[i + 1].lower().rstrip(_MARKS) if i + 1 < len(words) and not mark else ''
        preceding = words[i - 1].lower() if i else ''
        # Teal blue is a blue.
        if key in self.colours and following not in self._plain_colours:
            return self.colours[key] + mark
        is_colour = following not in _NO_NOUN or preceding in _COLOURING
        if key in self.things and is_colour and not (key in self.shapes and not following):
            return self.things[key] + mark
        if key in self.shapes and following not in self._has_colour:
            return self.shapes[key] + mark
        return words[i]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the text of the file that ``read_lexicon_file`` reads."""
        return json.dumps(asdict(self), indent=0, sort_keys=True) + '\n'


NO_LEXICON = Lexicon({}, {}, {}, ())


def read_lexicon_file(path: Path) -> Lexicon:
    """Return the lexicon in a file; raises ConfigurationError if it is none."""
    return read_json(Lexicon, path, 'write it with vla-ros lexicon')
