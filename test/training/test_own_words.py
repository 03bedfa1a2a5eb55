"""Words of one's own, from a file."""

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.paths import share_dir
from vla_ros.training.grammar import vocabulary
from vla_ros.training.own_words import read_words
from vla_ros.training.sentences import make_sentences

SHIPPED = share_dir() / 'config' / 'train' / 'words.yaml'


def test_the_shipped_ones_are_none_that_are_only_measured():
    words = read_words(SHIPPED)
    said = {word for phrases in words.values() for phrase in phrases for word in phrase.split()}
    measured = (vocabulary('test') | vocabulary('validation')) - vocabulary('train')
    assert {('colours', 'red'), ('shapes', 'any'), ('zones',)} <= words.keys()
    assert not said & measured


def test_they_are_said_in_place_of_what_they_mean(tmp_path):
    path = tmp_path / 'words.yaml'
    path.write_text('colours: {red: [sunburnt]}\nshapes: {ball: [snow globe]}\nzones: [pitch]\n')
    words = read_words(path)
    assert words == {
        ('colours', 'red'): ['sunburnt'],
        ('shapes', 'ball'): ['snow globe'],
        ('zones',): ['pitch'],
    }
    sentences, _ = make_sentences(2000, 0, words)
    with_zone = [s for s in sentences if 'pitch' in s.text]
    assert {s.meaning.task for s in with_zone} >= {'push', 'put'}
    about = [s.meaning for s in sentences if 'sunburnt' in s.text and s.meaning.task != 'none']
    # But for a few, as in 'the blue ball, not the sunburnt one'.
    assert (
        sum('red' in (meaning.colour, meaning.zone) for meaning in about) > 0.8 * len(about) > 20
    )


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'no mapping'),
        ('[red]', 'no mapping'),
        ('{}', 'has no words'),
        ('a: [', 'cannot be read as YAML'),
        (
            'colours: {pink: [rosy]}',
            r"nothing is called \('colours', 'pink'\); valid: colours/red",
        ),
        ('places: [pitch]', 'nothing is called'),
        ('zones: pitch', 'zones is .pitch., expected a list of phrases'),
        ('shapes: {ball: []}', 'shapes/ball is .., expected a list'),
        ('shapes: {ball: [1]}', 'expected a list of phrases'),
    ],
)
def test_a_mistake_is_told(tmp_path, text, reason):
    path = tmp_path / 'words.yaml'
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=reason):
        read_words(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match='cannot be read'):
        read_words(tmp_path / 'none.yaml')
