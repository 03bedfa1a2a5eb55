"""``vla-ros lexicon``: the file of rare words, made anew from WordNet and names of colours."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_ros.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--wordnet',
        metavar='FOLDER',
        type=Path,
        required=True,
        help='of WordNet 3, with data.noun and index.noun, as /usr/share/wordnet of Debian',
    )
    parser.add_argument(
        '--colour-names',
        metavar='FILE',
        type=Path,
        required=True,
        help='lines "name,hex": dist/colornames.csv of the npm package color-name-list',
    )
    parser.add_argument(
        '--out',
        metavar='FILE',
        type=Path,
        default=Path('lexicon.json'),
        help='never that of the package, unless you train anew: policies pin its content',
    )


def run(args: argparse.Namespace) -> int:
    from vla_ros.training.lexicon import read_lexicon

    lexicon = read_lexicon(args.wordnet, args.colour_names)
    try:
        args.out.write_text(lexicon.to_json(), encoding='utf-8')
    except OSError as error:
        raise ConfigurationError(
            f'--out {args.out}: {error.strerror}; give a file in a folder that can be written'
        ) from error
    counts = (len(lexicon.colours), len(lexicon.things), len(lexicon.shapes))
    print('{} colours, {} coloured things and {} shapes in {}'.format(*counts, args.out))
    return 0
