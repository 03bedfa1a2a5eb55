import pytest
from tiny_wordnet import (
    ARTEFACT,
    ATTRIBUTE,
    FOOD,
    NOUNS,
    OBJECT,
    write_colour_names,
    write_wordnet,
)

from vla_ros.errors import ConfigurationError
from vla_ros.training.grammar import OTHER, single_words, vocabulary, words_of_colours
from vla_ros.training.lexicon import read_lexicon


@pytest.fixture
def lexicon(tmp_path):
    return of(tmp_path)


def of(tmp_path, *nouns, names=()):
    """Return the lexicon of more nouns, and of more names of colours."""
    return read(write_wordnet(tmp_path, [*NOUNS, *nouns]), *names)


def read(wordnet, *names):
    return read_lexicon(wordnet, write_colour_names(wordnet / 'names.csv', *names))


def test_a_kind_of_a_colour_is_that_colour(lexicon):
    assert lexicon.colours['crimson'] == 'red'


def test_an_adjective_like_a_colour_is_that_colour(lexicon):
    assert lexicon.colours['sanguine'] == 'red'


def test_an_adjective_that_is_no_colour_has_none(lexicon):
    assert 'sheepish' not in lexicon.colours


def test_a_colour_that_nothing_on_the_table_has_is_left_alone(lexicon):
    assert 'bistre' not in {**lexicon.colours, **lexicon.things}


def test_a_thing_has_the_colour_of_its_definition(lexicon):
    assert lexicon.things['quince'] == 'yellow'
    assert 'quince' not in lexicon.colours


def test_a_thing_of_many_colours_has_none(lexicon):
    assert 'petunia' not in lexicon.things


def test_who_is_no_thing_has_no_colour(lexicon):
    assert 'redcap' not in lexicon.things


@pytest.mark.parametrize(
    ('word', 'shape'), [('orb', 'ball'), ('amphora', 'cylinder'), ('grapeshot', 'ball')]
)
def test_a_thing_has_the_shape_of_its_kind(lexicon, word, shape):
    assert lexicon.shapes[word] == shape


def test_examples_in_quotes_define_nothing(lexicon):
    assert 'saying' not in {**lexicon.things, **lexicon.shapes}


def test_short_words_and_phrases_are_left_out(lexicon):
    words = {*lexicon.colours, *lexicon.things, *lexicon.shapes}
    assert words
    assert all(len(word) > 2 and word.isalpha() for word in words)


def test_words_of_training_are_left_to_the_reader(lexicon):
    assert {'push', 'banana'} <= vocabulary()
    left = vocabulary() - words_of_colours().keys()
    assert not left & {*lexicon.colours, *lexicon.shapes}
    # What is on no table may still have a colour.
    assert lexicon.things['banana'] == 'yellow'
    assert left & lexicon.things.keys() <= single_words('shapes', OTHER)


def test_what_training_calls_one_colour_alone_is_that_colour_always(lexicon):
    assert (lexicon.colours['scarlet'], lexicon.colours['tangerine']) == ('red', 'orange')


def test_what_training_says_before_the_plain_colour_alone_is_no_colour(lexicon):
    assert words_of_colours()['electric'] == 'blue'
    assert 'electric' not in {**lexicon.colours, **lexicon.things}


def test_training_knows_better_than_the_dictionary(tmp_path):
    assert words_of_colours()['papaya'] == 'orange'
    assert of(tmp_path, ('papaya', FOOD, '', 'a yellow fruit')).things['papaya'] == 'orange'


def test_a_colour_that_the_table_lacks_is_the_one_that_its_definition_names(tmp_path):
    more = [('mauve', ATTRIBUTE, 'color', 'a moderate purple')]
    assert of(tmp_path, *more).colours['mauve'] == 'purple'


def test_what_people_call_a_colour_counts_for_more_than_its_definition(tmp_path):
    assert of(tmp_path).things['quince'] == 'yellow'
    assert of(tmp_path, names=['Quince,#0000ff']).things['quince'] == 'blue'


def test_what_nobody_can_see_has_no_colour(tmp_path):
    blues = [f'{word},#0000ff' for word in ('Redcap', 'Gable', 'Sheepish', 'Nowhere')]
    found = of(tmp_path, names=blues)
    assert found.things['gable'] == 'blue'
    assert not {'redcap', 'sheepish', 'nowhere'} & {**found.colours, **found.things}.keys()


def test_a_kind_of_thing_is_no_colour_of_it(tmp_path):
    more = [('quince_ball', ARTEFACT, '', 'is eaten'), ('redcap_ball', ARTEFACT, '', 'is odd')]
    assert of(tmp_path, *more).compounds == ('quince ball',)


def test_the_shape_is_that_of_the_commonest_senses(tmp_path):
    silent = ('wedgie', ARTEFACT, '', 'part of a shoe')
    told = ('wedgie', ARTEFACT, '', 'a ball')
    assert of(tmp_path, silent, told).shapes['wedgie'] == 'ball'
    assert 'wedgie' not in of(tmp_path, silent, silent, told).shapes


def test_a_kind_of_what_has_a_shape_has_that_shape(tmp_path):
    more = [
        ('shaft', ARTEFACT, '', 'a cylindrical part'),
        ('mandrel', ARTEFACT, 'shaft', 'of a lathe'),
        ('chuck', ARTEFACT, 'mandrel', 'of a drill'),
    ]
    found = of(tmp_path, *more).shapes
    assert found['mandrel'] == 'cylinder'
    assert 'chuck' not in found


def test_the_commonest_sense_tells_most(lexicon):
    # First something yellow, then something red: that far apart is not clear enough.
    assert 'wisp' not in lexicon.things


def test_a_rare_sense_hardly_tells(tmp_path):
    more = [('wisp', OBJECT, '', 'something small')]
    nouns = [*NOUNS[:-2], *more, *NOUNS[-2:]]
    assert read(write_wordnet(tmp_path, nouns)).things['wisp'] == 'yellow'


def test_what_is_said_first_tells_most(tmp_path):
    made = of(tmp_path, ('medlar', FOOD, '', 'green and green turning yellow'))
    assert made.things['medlar'] == 'green'


def test_a_synonym_tells_more_than_the_definition(tmp_path):
    made = of(tmp_path, ('damask red', ATTRIBUTE, 'color', 'of a shade nearly orange'))
    assert made.colours['damask'] == 'red'


def test_nouns_are_plain_words_for_objects_and_zones(lexicon):
    assert {'ball', 'block', 'cylinder', 'cube', 'zone'} <= set(lexicon.nouns)
    assert list(lexicon.nouns) == sorted(set(lexicon.nouns))


@pytest.mark.parametrize('name', ['data.noun', 'index.noun', 'data.adj', 'index.adj'])
def test_a_missing_file_is_told(tmp_path, name):
    (write_wordnet(tmp_path) / name).unlink()
    with pytest.raises(ConfigurationError, match=f'no WordNet 3 .*{name}.*give the folder'):
        read(tmp_path)


@pytest.mark.parametrize('text', ['no dictionary\n', '1 | 2\n', '0 0 n zz | x\n', '\xff\n'])
def test_files_of_something_else_are_told(tmp_path, text):
    (write_wordnet(tmp_path) / 'data.noun').write_bytes(text.encode('latin-1'))
    with pytest.raises(ConfigurationError, match='no WordNet 3'):
        read(tmp_path)


def test_what_stands_before_a_word_of_shape_is_no_noun(lexicon):
    assert {'round', 'cubic', 'wooden'} <= set(lexicon.nouns)
    # A barrel shaped thing has a shape; the barrel right there is one.
    assert not {'shaped', 'of', 'right', 'there'} & set(lexicon.nouns)
