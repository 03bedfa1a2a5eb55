"""Which words the planes of an attention stand for."""

import numpy as np
import pytest

from vla_ros.pipeline.lexicon import Lexicon
from vla_ros.web.words import weights_of, Word, WordReader


@pytest.fixture(scope='module')
def reader():
    return WordReader.shipped()


def texts(words: list[Word]) -> list[str]:
    return [word.text for word in words]


def test_each_word_has_its_tokens(reader):
    words = reader.words('pick up the red block', 7)
    assert texts(words) == ['(sentence)', 'pick', 'up', 'the', 'red', 'block', '(end)']
    assert [(w.first, w.last) for w in words] == [(i, i + 1) for i in range(7)]


def test_the_pieces_of_a_word_are_one_word(reader):
    words = reader.words('grab the doohickey', 7)
    assert texts(words) == ['(sentence)', 'grab', 'the', 'doohickey', '(end)']
    assert (words[3].first, words[3].last) == (3, 6)


def test_rare_words_are_shown_as_they_are_read(reader):
    assert 'red' in texts(reader.words('the crimson orb', 5))


def test_another_number_of_tokens_gets_no_words(reader):
    assert texts(reader.words('pick it up', 3)) == ['token 0', 'token 1', 'token 2']


def test_without_a_tokenizer_tokens_are_numbered():
    assert texts(WordReader(None, Lexicon({}, {}, {})).words('go', 2)) == ['token 0', 'token 1']


def test_shares_are_those_of_the_words_planes_and_sum_to_one():
    planes = np.zeros((3, 2, 2), np.float32)
    planes[0], planes[1, 0, 0], planes[2, 1, 1] = 0.25, 1.0, 2.0
    shares = weights_of([Word('a', 0, 1), Word('b', 1, 3)], planes)
    assert shares.tolist() == [0.25, 0.75]


def test_a_weight_that_is_no_number_counts_as_none():
    planes = np.array([[[np.nan]], [[1.0]]], np.float32)
    assert weights_of([Word('a', 0, 1), Word('b', 1, 2)], planes).tolist() == [0.0, 1.0]


def test_nothing_at_all_weighs_nothing():
    planes = np.zeros((1, 2, 2), np.float32)
    assert weights_of([Word('a', 0, 1)], planes).tolist() == [0.0]
