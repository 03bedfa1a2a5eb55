"""Which map of the attention is shown, and how it is named."""

import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.look import check_word, DIFFUSE_ABOVE, look_at

PIECES = ('[CLS]', 'red', 'ball', '[SEP]')


def attention():
    """Return planes (4, 5, 5): red looks at the first cell, ball thrice as much at the last."""
    planes = np.zeros((4, 5, 5), np.float32)
    planes[1, 0, 0], planes[2, 4, 4] = 1.0, 3.0
    return planes


def test_all_words_are_shown_together_unless_one_is_asked_for():
    look = look_at(attention(), PIECES)
    assert (look.chosen, look.title) == (None, 'all words')
    assert look.weights[0, 0] == pytest.approx(0.25)


@pytest.mark.parametrize(('word', 'cell'), [('0', (0, 0)), ('1', (4, 4)), ('peak', (4, 4))])
def test_a_word_by_number_and_that_of_most_attention(word, cell):
    look = look_at(attention(), PIECES, word)
    assert look.weights[cell] == 1.0
    assert look.title == ('"red"' if cell == (0, 0) else '"ball"')


def test_a_number_without_a_word_is_told_and_all_are_shown():
    look = look_at(attention(), PIECES, '7')
    assert look.chosen is None
    assert look.title == 'all words, for there is no word 7'


def test_the_words_have_their_shares():
    look = look_at(attention(), PIECES)
    assert look.shares == pytest.approx([0.25, 0.75])
    assert look.words[look.top_word].text == 'ball'


def test_pieces_of_another_command_are_not_shown():
    assert [w.text for w in look_at(attention(), ('red', 'ball')).words] == [
        '#0',
        '#1',
        '#2',
        '#3',
    ]


def test_attention_on_one_cell_is_not_diffuse_and_even_attention_is():
    assert not look_at(attention(), PIECES, 'peak').is_diffuse
    even = look_at(np.ones((4, 5, 5), np.float32), PIECES)
    assert even.spread == pytest.approx(1.0)
    assert even.is_diffuse


def test_the_threshold_is_like_45_cells_of_the_shipped_grid():
    assert pytest.approx(45.3, abs=0.1) == (24 * 24) ** DIFFUSE_ABOVE


def test_no_attention_at_all_is_diffuse_and_has_no_top_word():
    look = look_at(np.zeros((4, 5, 5), np.float32), PIECES, 'peak')
    assert look.is_diffuse
    assert look.top_word is None


@pytest.mark.parametrize('word', ['', 'red', '-1', '1.5', '²'])
def test_what_is_no_word_to_ask_for_is_refused_with_what_is(word):
    with pytest.raises(ConfigurationError, match='valid: all, peak'):
        check_word(word)
