from pathlib import Path

import pytest
from tiny_wordnet import write_colour_names, write_wordnet

from vla_ros.cli import main
from vla_ros.pipeline.lexicon import read_lexicon_file
from vla_ros.training.lexicon import read_lexicon


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    (tmp_path / 'dict').mkdir()
    return write_wordnet(tmp_path / 'dict')


def test_the_file_is_what_the_dictionary_says(
    wordnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    out, names = tmp_path / 'lexicon.json', write_colour_names(tmp_path / 'names.csv')
    options = ['--wordnet', str(wordnet), '--colour-names', str(names), '--out', str(out)]
    assert main(['lexicon', *options]) == 0
    assert read_lexicon_file(out) == read_lexicon(wordnet, names)
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ('dictionary', 'names', 'out', 'reason'),
    [
        ('nowhere', 'names.csv', 'lexicon.json', 'no WordNet 3'),
        ('dict', 'nowhere.csv', 'lexicon.json', 'no list of colours'),
        ('dict', 'names.csv', 'nowhere/lexicon.json', 'No such file or directory; give a file in'),
    ],
)
def test_what_cannot_be_is_one_sentence(
    wordnet: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    dictionary: str,
    names: str,
    out: str,
    reason: str,
):
    write_colour_names(tmp_path / 'names.csv')
    paths = {'--wordnet': dictionary, '--colour-names': names, '--out': out}
    given = [word for key, value in paths.items() for word in (key, str(tmp_path / value))]
    assert main(['lexicon', *given]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count('\n') == 1
