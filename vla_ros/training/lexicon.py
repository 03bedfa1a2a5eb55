"""
What a dictionary and names of colours know, for words that training never heard.

Read from the files of Princeton WordNet 3 (Miller 1995; the folder ``dict`` of its distribution,
or ``/usr/share/wordnet`` of Debian's package wordnet-base). A word gets the colour or shape that
its definition, its synonyms or what it is a kind of speak of most: earlier senses first for
colours, the commonest two for shapes. Of colours, what people call so knows better
(``colour_names.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
import re

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.lexicon import Lexicon
from vla_ros.sim.scene import COLOURS, SHAPES
from vla_ros.training.colour_names import colours_of_words, read_colour_names
from vla_ros.training.grammar import (
    OTHER,
    single_words,
    vocabulary,
    words_of_colours,
    words_under,
)

#: Words of definitions by what they tell. Other colours count too: brown is not orange.
_COLOURS = {
    **{name: name for name in ('red', 'green', 'blue', 'yellow', 'purple', 'orange')},
    **{'violet': 'purple', 'golden': 'yellow', 'scarlet': 'red', 'emerald': 'green'},
    **dict.fromkeys(('brown', 'pink', 'white', 'black', 'gray', 'grey', 'silvery'), OTHER),
    **dict.fromkeys(('tan', 'beige', 'cream'), OTHER),
}
_SHAPES = {
    **dict.fromkeys(('ball', 'sphere', 'spherical', 'globe', 'globular'), 'ball'),
    **dict.fromkeys(('cylinder', 'cylindrical', 'tubular', 'tube'), 'cylinder'),
    **dict.fromkeys(('cube', 'cubical', 'cuboid', 'rectangular', 'box', 'cubic'), 'block'),
}
#: Lexicographer files of things that can lie on a table: artifact, food, object, plant, shape.
_THINGS = ('06', '13', '17', '20', '25')
#: And of all else that can be seen: animals, bodies, phenomena, substances.
_SEEN = (*_THINGS, '05', '08', '19', '27')
#: A synonym tells more than a word of the definition, what is said later tells less, and the
#: runner-up must stay behind.
_SYNONYM, _LATER, _CLEAR = 3.0, 0.5, 0.6
#: So many of the commonest senses tell a shape.
_COMMON = 2
#: Of the names that a word stands in, so many have its colour.
_SHARE = 0.4
_ALIKE = ('or', 'and', 'to')
#: They stand between a shape and what has it.
_JOINING = frozenset(('shaped', 'like', 'of'))
#: What is said around the names of things.
_AROUND = ('commands', 'object_phrases', 'vague_phrases', 'openings', 'endings')
_ENDING = ' (coloured|colored)'


@dataclass(frozen=True)
class _Sense:
    words: tuple[str, ...]
    kinds: tuple[str, ...]  # keys of what it is a kind of, or of similar adjectives
    definition: tuple[str, ...]
    file: str


def read_lexicon(wordnet: Path, colour_names: Path) -> Lexicon:
    """
    Return what WordNet and a list of colours say of single words.

    Raises ConfigurationError without these files.
    """
    try:
        nouns, adjectives = _senses(wordnet, 'noun'), _senses(wordnet, 'adj')
        noun_index, adjective_index = _index(wordnet, 'noun'), _index(wordnet, 'adj')
    except (OSError, ValueError, IndexError) as error:
        raise ConfigurationError(
            f'{wordnet}: no WordNet 3 ({error}); give the folder with data.noun and index.noun'
        ) from error
    senses = nouns | adjectives
    colours: dict[str, str] = {}
    things: dict[str, str] = {}
    shapes: dict[str, str] = {}
    said = words_of_colours()
    # What is on no table may still have a colour, as in banana block.
    absent = single_words('shapes', OTHER)
    known = vocabulary() - said.keys()
    # Training says these without the plain name of the colour.
    alone = {word for c in COLOURS for word in single_words('colours', c, ending=_ENDING)}
    taught = {word: said[word] for word in alone & said.keys()}
    shape_words = {
        word: shape for shape in SHAPES for word in single_words('shapes', shape)
    } | _SHAPES
    names = read_colour_names(colour_names)
    counted = colours_of_words(names, _COLOURS, OTHER, _CLEAR, _SHARE)
    for word in sorted({*noun_index, *adjective_index, *taught}):
        if not re.fullmatch('[a-z]{3,}', word) or word in known - absent:
            continue
        as_noun = [nouns[key] for key in noun_index.get(word, ())]
        in_file = [sense for sense in as_noun if sense.file in _THINGS]
        seen = [sense for sense in as_noun if sense.file in _SEEN]
        as_adjective = [adjectives[key] for key in adjective_index.get(word, ())]
        named = [s for s in as_adjective if 'color' in s.definition] + [
            s for s in as_noun if _is_colour(s, nouns)
        ]
        colour = _colour(word, counted.get(word), named, seen, senses)
        # What training says of a word counts for more than what others say.
        if word in taught or (named and colour):
            colours[word] = said.get(word) or colour  # type: ignore[assignment]
        elif colour:
            things[word] = said.get(word, colour)
        of_shapes = [] if word in absent else in_file[:_COMMON]
        # A spindle is a shaft, and a shaft is a rod.
        kinds_of = [nouns[key] for sense in of_shapes for key in sense.kinds if key in nouns]
        for some in (of_shapes, kinds_of):
            if shape := _told(_SHAPES, word, some, nouns, shape_words):
                shapes[word] = shape
                break
    plain_nouns = {*shape_words, *single_words('zones')}
    # What stands before one of these is no noun itself, as in melon round thing.
    around = _JOINING.union(*map(words_under, _AROUND))
    parts = {*words_under('sizes').union(*(words_under('shapes', s) for s in SHAPES))} - around
    # A beach ball is a ball of any colour.
    compounds = {key.replace('_', ' ') for key in noun_index if key.count('_') == 1}
    kinds = {c for c in compounds if c.split()[0] in things and c.split()[1] in plain_nouns}
    return Lexicon(
        colours, things, shapes, tuple(sorted(plain_nouns | parts)), tuple(sorted(kinds))
    )


def _colour(
    word: str,
    counted: str | None,
    named: list[_Sense],
    seen: list[_Sense],
    senses: dict[str, _Sense],
) -> str | None:
    """Return the colour of the table that a word has: as it is counted, else as it is defined."""
    defined = _told(_COLOURS, word, named, senses) if named else _told(_COLOURS, word, seen, {})
    told = counted or (None if defined == OTHER else defined)
    return told if named or seen else None


def _told(
    names: dict[str, str],
    word: str,
    senses: list[_Sense],
    others: dict[str, _Sense],
    synonym_names: dict[str, str] | None = None,
) -> str | None:
    """
    Return which of ``names`` the senses of a word tell, if one stands out.

    ``others`` are the senses that its kinds are found in; of synonyms and kinds ``synonym_names``
    may tell more.
    """
    scores: Counter[str] = Counter()
    for rank, sense in enumerate(senses):
        weight = 1.0 / (1.0 + 0.5 * rank)
        synonyms = [w for w in sense.words if w != word]
        synonyms += [w for key in sense.kinds if key in others for w in others[key].words]
        for said, telling, worth in [
            (sense.definition, names, 1.0),
            (
                _heads(synonyms) if synonym_names else _split(synonyms),
                synonym_names or names,
                _SYNONYM,
            ),
        ]:
            told = 0.0
            for i, one in enumerate(said):
                if one not in telling:
                    continue
                # Red or blue is both alike; red or brown is red, for nothing here is brown.
                before = telling.get(said[i - 2], OTHER) if said[i - 1] in _ALIKE else OTHER
                if OTHER in (before, telling[one]):
                    told = told * _LATER or worth
                scores[telling[one]] += told * weight  # type: ignore[assignment]
    (best, score), (_, second) = [*scores.most_common(2), ('', 0), ('', 0)][:2]
    return best if score > 0 and second <= _CLEAR * score else None


def _is_colour(sense: _Sense, nouns: dict[str, _Sense]) -> bool:
    """Say whether a noun's sense is a colour: attribute, and a kind of one."""
    kinds = _split(word for key in sense.kinds for word in nouns[key].words)
    return sense.file == '07' and any(word in _COLOURS or word == 'color' for word in kinds)


def _heads(phrases: Iterable[str]) -> list[str]:
    """Return what each phrase is a kind of: a cannon ball is a ball."""
    return [phrase.split()[-1] for phrase in phrases]


def _split(phrases: Iterable[str]) -> list[str]:
    return [word for phrase in phrases for word in re.findall('[a-z]+', phrase)]


def _senses(folder: Path, part: str) -> dict[str, _Sense]:
    senses = {}
    for line in _lines(folder / f'data.{part}'):
        head, definition = line.split('|', 1)
        fields = head.split()
        count = int(fields[3], 16)
        words = tuple(
            re.sub(r'\(.*\)', '', fields[4 + 2 * i]).replace('_', ' ').lower()
            for i in range(count)
        )
        pointers = fields[5 + 2 * count :]
        kinds = tuple(
            pointers[i + 1]
            for i in range(0, 4 * int(fields[4 + 2 * count]), 4)
            if pointers[i] in ('@', '&')
        )
        told = tuple(re.findall('[a-z]+', definition.split('"')[0].lower()))
        senses[part[0] + fields[0]] = _Sense(
            words, tuple(part[0] + key for key in kinds), told, fields[1]
        )
    return senses


def _index(folder: Path, part: str) -> dict[str, tuple[str, ...]]:
    """Return the keys of each word's senses, the commonest first."""
    index = {}
    for line in _lines(folder / f'index.{part}'):
        fields = line.split()
        index[fields[0]] = tuple(part[0] + key for key in fields[-int(fields[2]) :])
    return index


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding='utf-8') as file:
        yield from (line for line in file if not line.startswith(' '))  # the licence is indented
