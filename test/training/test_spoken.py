import numpy as np
import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.meaning import Meaning
from vla_ros.training.sentences import SentenceBank
from vla_ros.training.spoken import is_unclear, Spoken

ANY_COLOUR, OTHER_COLOUR, ANY_SHAPE, OTHER_SHAPE, OTHER_ZONE = 6, 7, 3, 4, 6
#: Task, colour, shape and zone of each sentence.
CLASSES = np.array(
    [
        [2, 0, 1, -1],
        [0, -1, -1, -1],
        [4, 0, 1, 5],
        [2, 0, 1, -1],
        [2, ANY_COLOUR, 1, -1],
        [2, OTHER_COLOUR, 1, -1],
        [0, -1, -1, -1],
        [2, 5, ANY_SHAPE, -1],
    ]
)
UNCLEAR = 5


def spoken(classes=CLASSES):
    count = len(classes)
    return Spoken(
        SentenceBank(
            np.zeros((count, 1), np.float16), np.arange(count), np.ones(count, int), classes
        )
    )


def rows(meanings, chance, unclear=False):
    meaning = Meaning(*torch.tensor(meanings).unbind(dim=1))
    r = len(meanings)
    chances = np.broadcast_to(chance, r)
    return spoken().rows(meaning, chances, np.broadcast_to(unclear, r)).tolist()


@pytest.mark.parametrize(
    ('meaning', 'chance', 'row'),
    [
        ((2, 0, 1, -1), 0.0, 0),
        ((2, 0, 1, -1), 0.49, 0),
        ((2, 0, 1, -1), 0.5, 3),
        ((2, 0, 1, -1), 0.999, 3),
        ((4, 0, 1, 5), 0.7, 2),
    ],
)
def test_chance_draws_one_of_the_sentences_that_mean_it(meaning, chance, row):
    assert rows([meaning], chance) == [row]


def test_what_is_left_open_is_said_so():
    assert rows([(2, -1, 1, -1), (2, 5, -1, -1)], 0.3) == [4, 7]


def test_no_task_is_said_by_any_sentence_that_is_none():
    assert rows([(0, 3, 2, 4), (0, -1, -1, -1)], [0.2, 0.8]) == [1, 6]


def test_where_it_is_to_be_unclear_nobody_can_tell():
    assert rows([(2, 0, 1, -1), (4, 0, 1, 5)], 0.0, [True, False]) == [UNCLEAR, 2]


def test_what_no_sentence_means_is_told():
    with pytest.raises(ConfigurationError, match='none of 8 sentences means pick purple cylinder'):
        rows([(2, 4, 1, -1)], 0.5)


def test_what_is_unclear_anyway_needs_no_sentence_of_its_own():
    assert rows([(2, 4, 1, -1)], 0.5, True) == [UNCLEAR]


def test_a_bank_without_unclear_sentences_is_told():
    meaning = Meaning(*torch.tensor([[2, 0, 1, -1]]).unbind(dim=1))
    with pytest.raises(ConfigurationError, match='what nobody can tell'):
        spoken(CLASSES[:5]).rows(meaning, np.array([0.5]), np.array([True]))


@pytest.mark.parametrize(
    ('classes', 'unclear'),
    [
        ((1, OTHER_COLOUR, 0, -1), True),
        ((1, 0, OTHER_SHAPE, -1), True),
        ((1, ANY_COLOUR, ANY_SHAPE, -1), True),
        ((3, 0, 0, OTHER_ZONE), True),
        ((1, ANY_COLOUR, 0, -1), False),
        ((3, 0, ANY_SHAPE, 2), False),
        ((0, -1, -1, -1), False),
    ],
)
def test_what_nobody_can_tell_is_unclear(classes, unclear):
    assert is_unclear(np.array([classes])).tolist() == [unclear]
