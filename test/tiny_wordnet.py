"""A dictionary of a few words in the files of WordNet, and a list of a few colours."""

from pathlib import Path

LICENCE = '  1 This software and database is being provided to you, the LICENSEE, by  \n'
ATTRIBUTE, ARTEFACT, FOOD, OBJECT, PERSON, PLANT, SHAPE = '07', '06', '13', '17', '18', '20', '25'

#: Words, lexicographer file, what it is a kind of (by its first word), definition.
NOUNS = [
    ('color', ATTRIBUTE, '', 'a visual attribute of things'),
    ('red', ATTRIBUTE, 'color', 'the quality of blood'),
    ('crimson', ATTRIBUTE, 'red', 'a deep and vivid shade'),
    ('bistre', ATTRIBUTE, 'color', 'a moderate to dark brown color'),
    ('banana', FOOD, '', 'elongated crescent-shaped yellow fruit with soft sweet flesh'),
    ('quince', FOOD, '', 'a yellow fruit; its flesh turns red'),
    ('petunia', PLANT, '', 'its flowers are red or blue or yellow'),
    ('redcap', PERSON, '', 'one who wears a red cap'),
    ('sphere', SHAPE, '', 'every point has the same distance from the centre'),
    ('orb', SHAPE, 'sphere', 'a round thing'),
    ('amphora', ARTEFACT, 'cask', 'made of clay'),
    ('cask', ARTEFACT, '', 'a container'),
    ('cannon_ball', ARTEFACT, '', 'is fired'),
    ('grapeshot', ARTEFACT, 'cannon_ball', 'small iron things'),
    ('ox', OBJECT, '', 'a red ball'),
    ('saying', ARTEFACT, '', 'it is told; "the blue ball is a sphere"'),
    ('push', ARTEFACT, '', 'a cylindrical cylinder'),
    ('wisp', OBJECT, '', 'something yellow'),
    ('gable', OBJECT, '', 'the side of a building'),
    ('wisp gable', OBJECT, '', 'something red'),
]
ADJECTIVES = [
    ('red scarlet', '00', '', 'of a color at the end of the spectrum'),
    ('sanguine', '00', 'red', 'of a certain color'),
    ('sheepish', '00', 'red', 'with a face as after a mistake'),
]


def write_wordnet(folder: Path, nouns=NOUNS, adjectives=ADJECTIVES) -> Path:
    """Write the files of a dictionary; senses of a word come in the order of the list."""
    for part, entries, symbol in (('noun', nouns, '@'), ('adj', adjectives, '&')):
        keys = {words.split()[0]: f'{i:08}' for i, (words, *_) in reversed([*enumerate(entries)])}
        data, index = [LICENCE], {}
        for i, (words, file, kind, definition) in enumerate(entries):
            said = ' '.join(f'{word} 0' for word in words.split())
            kinds = f'001 {symbol} {keys[kind]} {part[0]} 0000' if kind else '000'
            count = f'{len(words.split()):02x}'
            data.append(f'{i:08} {file} {part[0]} {count} {said} {kinds} | {definition}  \n')
            for word in words.split():
                index.setdefault(word, []).append(f'{i:08}')
        lines = [
            f'{word} {part[0]} {len(of)} 1 {symbol} {len(of)} 0 {" ".join(of)}  \n'
            for word, of in sorted(index.items())
        ]
        (folder / f'data.{part}').write_text(''.join(data))
        (folder / f'index.{part}').write_text(''.join([LICENCE, *lines]))
    return folder


def write_colour_names(path: Path, *names: str) -> Path:
    """Write a list of colours, each as 'Name,#rrggbb'."""
    path.write_text('\n'.join(['name,hex', *names]) + '\n')
    return path
