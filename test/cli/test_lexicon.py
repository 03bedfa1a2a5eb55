from pathlib import Path

import pytest
from tiny_wordnet import write_wordnet

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
    out = tmp_path / 'lexicon.json'
    assert main(['lexicon', '--wordnet', str(wordnet), '--out', str(out)]) == 0
    assert read_lexicon_file(out) == read_lexicon(wordnet)
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ('dictionary', 'out', 'reason'),
    [
        ('nowhere', 'lexicon.json', 'no WordNet 3'),
        ('dict', 'nowhere/lexicon.json', 'No such file or directory; give a file in a folder'),
    ],
)
def test_what_cannot_be_is_one_sentence(
    wordnet: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    dictionary: str,
    out: str,
    reason: str,
):
    folders = ['--wordnet', str(tmp_path / dictionary), '--out', str(tmp_path / out)]
    assert main(['lexicon', *folders]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count('\n') == 1
