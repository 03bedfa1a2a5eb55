"""
Rare words by plainer ones: 'grab the crimson orb' is read as 'grab the red ball'.

Sentence encoders know which words are used alike, hardly which colour a thing has. A dictionary
does. So are words of colour that stand alone in training: they are said in more ways than taught.
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
    first for from gently go has here i in inside instead into is it its like me my never next not
    now of off on onto or out over please rather shaped should so than thank thanks that the then
    there this those to too toward towards under until up was what when where which who will with
    would you your
"""
#: And right after these, where a thing would have an article: painted banana, in banana.
_COPULAS = """
    appearing at be being color colored colour coloured in inside into is it's looking looks of on
    onto painted that's to toward towards upon within
"""
_COLOURING = frozenset(_COPULAS.split())
_NO_NOUN = frozenset(('', *_FUNCTION_WORDS.split()))
_MARKS = '.,;:!?"\')'


@dataclass(frozen=True)
class Lexicon:
    """
    Plain words by rare ones.

    ``colours`` are names of colours, ``things`` have a typical colour, ``shapes`` have a typical
    shape. ``nouns`` are plain words for what may have a colour, ``compounds`` are things before
    nouns that tell a kind and no colour, as in beach ball.
    """

    colours: Mapping[str, str]
    things: Mapping[str, str]
    shapes: Mapping[str, str]
    nouns: tuple[str, ...]
    compounds: tuple[str, ...]

    @cached_property
    def _has_colour(self) -> frozenset[str]:
        return frozenset((*self.nouns, *self.shapes, *_COLOURED))

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return frozenset(self.compounds)

    @cached_property
    def _plain_colours(self) -> frozenset[str]:
        return frozenset((*self.colours.values(), *self.things.values()))

    def plain(self, text: str) -> str:
        """Return ``text`` with rare words of colour and shape replaced by plain ones."""
        words = text.replace('-', ' ').split()
        said: list[str] = []  # from the last word on
        following = after = ''
        for i in reversed(range(len(words))):
            preceding = words[i - 1].lower() if i else ''
            # An orb coloured blue is a ball; an orb coloured block has the colour of an orb.
            coloured = following in _COLOURED and after in (*self._plain_colours, 'in')
            if word := self._plain(words[i], preceding, '' if coloured else following):
                said.append(word)
                following, after = word.lower().rstrip(_MARKS), following
        return ' '.join(reversed(said))

    def _plain(self, said: str, preceding: str, following: str) -> str:
        """Return what is read for one word, nothing if the next one tells its colour better."""
        word, mark = re.fullmatch(r'(.*?)([^\w]*)', said, re.DOTALL).groups()  # type: ignore[union-attr]
        key = word.lower()
        following = '' if mark else following
        if key in self.colours or key in self.things:
            # Teal blue is a blue.
            if following in self._plain_colours:
                return ''
            if key in self.colours:
                return self.colours[key] + mark
            if self._is_colour(key, preceding, following):
                return self.things[key] + mark
        if key in self.shapes and following not in self._has_colour:
            return self.shapes[key] + mark
        return said

    def _is_colour(self, thing: str, preceding: str, following: str) -> bool:
        """Say whether a thing is named for its colour, and not as what is meant."""
        if f'{thing} {following}' in self._kinds:
            return False
        if thing in self.shapes and following not in self._has_colour:
            # An orb standing there is a ball, whatever its colour; painted orb it has that colour.
            return bool(following) and preceding in _COLOURING
        return following not in _NO_NOUN or preceding in _COLOURING

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the text of the file that ``read_lexicon_file`` reads."""
        return json.dumps(asdict(self), indent=0, sort_keys=True) + '\n'


NO_LEXICON = Lexicon({}, {}, {}, (), ())


def read_lexicon_file(path: Path) -> Lexicon:
    """Return the lexicon in a file; raises ConfigurationError if it is none."""
    return read_json(Lexicon, path, 'write it with vla-ros lexicon')
