import pytest

from vla_ros.training.colour_names import survey_colours

PLAIN = {
    **{name: name for name in ('red', 'green', 'blue', 'yellow', 'purple', 'orange')},
    **dict.fromkeys(('brown', 'pink', 'grey', 'white', 'black', 'tan'), 'other'),
}


@pytest.fixture(scope='module')
def found():
    return survey_colours(PLAIN, clear=0.6)


@pytest.mark.parametrize(
    ('word', 'colour'),
    [
        ('cobalt', 'blue'), ('scarlet', 'red'), ('emerald', 'green'), ('lemon', 'yellow'),
        ('plum', 'purple'), ('tangerine', 'orange'), ('taupe', 'other'), ('cement', 'other'),
    ],
)  # fmt: skip
def test_a_word_gets_the_colour_that_names_nearby_end_in(found, word, colour):
    assert found[word] == colour


def test_between_two_colours_there_is_none(found):
    assert 'turquoise' not in found
    assert 'turquoise' in survey_colours(PLAIN, clear=1.0)


def test_plain_words_and_phrases_are_left_out(found):
    assert not set(found) & set(PLAIN)
    assert all(word.isalpha() for word in found)
