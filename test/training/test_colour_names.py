import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.training.colour_names import colours_of_words, read_colour_names

PLAIN = {
    **{name: name for name in ('red', 'green', 'blue', 'yellow', 'purple', 'orange')},
    **dict.fromkeys(('brown', 'pink', 'grey', 'white', 'black', 'tan'), 'other'),
}
LIST = """name,hex
Pickle,#85a16a
Dill Pickle,#67744a
Hooked Pickle,#8b851b
Mimosa Yellow,#f5e9d5
Flume Blue,#0000ff
Flume,#0000ff
Wobble,#ff0000
Wobble Dream,#0000ff
Wobble Night,#0000f0
Wobble Sky,#0010ff
Wobble Sea,#0020ff
"Ashen, and Loam",#808080
Loam,#808080
"""


@pytest.fixture(scope='module')
def names(tmp_path_factory):
    path = tmp_path_factory.mktemp('names') / 'names.csv'
    path.write_text(LIST)
    return read_colour_names(path)


def told(names, clear=0.6, share=0.4):
    return colours_of_words(names, PLAIN, 'other', clear, share)


@pytest.mark.parametrize(
    ('word', 'colour'),
    [
        ('cobalt', 'blue'), ('cherry', 'red'), ('emerald', 'green'), ('lemon', 'yellow'),
        ('plum', 'purple'), ('tangerine', 'orange'), ('pickle', 'green'), ('flume', 'blue'),
    ],
)  # fmt: skip
def test_a_word_has_the_colour_of_the_names_that_it_stands_in(names, word, colour):
    assert told(names)[word] == colour


def test_the_survey_is_a_part_of_the_names(names):
    assert names['dusty', 'teal'] == '#4c9085'
    assert names['dill', 'pickle'] == '#67744a'


def test_what_is_said_once_tells_too_little(names):
    assert not {'hooked', 'mimosa'} & told(names, clear=1.0, share=0.0).keys()


@pytest.mark.parametrize(('clear', 'known'), [(0.6, False), (1.0, True)])
def test_between_two_colours_there_is_none(names, clear, known):
    assert ('turquoise' in told(names, clear)) == known
    assert ('wobble' in told(names, clear)) == known


def test_what_has_no_colour_of_the_table_has_none(names):
    assert not {'taupe', 'cement', 'loam'} & told(names).keys()
    assert 'other' not in told(names, clear=1.0, share=0.0).values()


def test_plain_words_are_left_out(names):
    assert not told(names).keys() & PLAIN.keys()


@pytest.mark.parametrize('text', ['no list\n', 'name,hex\nmud,#12\n', 'name,hex\nmud\n'])
def test_a_file_of_something_else_is_told(tmp_path, text):
    path = tmp_path / 'names.csv'
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r'no list of colours .* give colornames.csv'):
        read_colour_names(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r'nowhere.csv: no list of colours .*No such'):
        read_colour_names(tmp_path / 'nowhere.csv')
