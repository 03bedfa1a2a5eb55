"""Tokens back to the words that were read, with their weights."""

import numpy as np
import pytest

from vla_ros.pipeline.words import (
    differs,
    reading,
    unnamed_words,
    word_plane,
    word_shares,
    words_of,
)

PIECES = ('[CLS]', 'push', 'the', 'tur', '##quo', '##ise', 'ball', '[SEP]')


def planes(*by_token):
    """Return planes (n, 2, 2) with these sums."""
    return np.array(by_token, float)[:, None, None] * np.array([[0.5, 0.25], [0.25, 0.0]])


def test_pieces_are_joined_and_tokens_of_no_word_left_out():
    words = words_of(PIECES)
    assert reading(words) == 'push the turquoise ball'
    assert words[2].tokens == (3, 4, 5)


def test_an_unknown_word_is_shown_as_not_read():
    assert reading(words_of(['[CLS]', '[UNK]', 'ball', '[SEP]'])) == '[?] ball'


def test_a_piece_that_continues_nothing_is_a_word_of_its_own():
    assert [word.text for word in words_of(['[CLS]', '##s', '[SEP]'])] == ['##s']


def test_a_word_has_the_attention_of_its_pieces():
    shares = word_shares(words_of(PIECES), planes(1, 0, 0, 1, 2, 1, 4, 1))
    assert shares == pytest.approx([0.0, 0.0, 0.4, 0.4])


def test_without_attention_no_word_has_any():
    assert word_shares(words_of(PIECES), planes(*[0] * 8)).tolist() == [0.0] * 4


def test_the_plane_of_a_word_is_the_sum_of_its_pieces():
    plane = word_plane(words_of(PIECES)[2], planes(1, 0, 0, 1, 2, 1, 4, 1))
    assert plane == pytest.approx(np.array([[2.0, 1.0], [1.0, 0.0]]))


def test_words_that_nobody_told_are_numbered():
    assert reading(unnamed_words(2)) == '#0 #1'


@pytest.mark.parametrize(
    ('read', 'typed', 'is_other'),
    [
        ('grab the red ball !', 'Grab the red ball!', False),
        ('grab the red ball', 'grab the crimson orb', True),
        ('pick it up', 'pick it-up', False),
    ],
)
def test_a_reading_differs_only_by_its_letters(read, typed, is_other):
    assert differs(read, typed) is is_other
