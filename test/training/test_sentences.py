import re

import numpy as np
import pytest
import torch

from vla_ros.paths import lexicon_path
from vla_ros.pipeline.lexicon import read_lexicon_file
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.training import sentences
from vla_ros.training.grammar import (
    every_plain_sentence,
    Meaning,
    MEANT_COLOURS,
    MEANT_SHAPES,
    MEANT_TASKS,
    MEANT_ZONES,
    Sentence,
    vocabulary,
)
from vla_ros.training.sentences import (
    by_length,
    encode_sentences,
    lexicon_words,
    make_sentences,
    new_sentences,
    sentence_bank,
    SentenceBank,
    SentenceBatch,
)

SENTENCES = [
    Sentence('put the red ball in the green zone', Meaning('put', 'red', 'ball', 'green')),
    Sentence('lift the blue one', Meaning('pick', 'blue', 'any')),
    Sentence('hello', Meaning('none')),
]
LEXICON = read_lexicon_file(lexicon_path())
LENGTHS = np.array([3, 1, 2])


def bank():
    """Return three sentences of 3, 1 and 2 tokens; the features of token i are i + 1."""
    tokens = np.repeat(np.arange(1.0, 7.0)[:, None], 2, axis=1).astype(np.float16)
    return SentenceBank(
        tokens,
        np.array([0, 3, 4]),
        LENGTHS,
        np.array([[4, 0, 2, 1], [2, 2, 6, -1], [0, -1, -1, -1]]),
    )


@pytest.fixture
def encoded(monkeypatch):
    """Count what is encoded, in place of encoding it."""
    calls = []

    def encode(looked_up, workers, as_said):
        some = [*looked_up, *as_said]
        calls.append(some)
        lengths = np.array([len(s.text.split()) for s in some])
        tokens = np.arange(lengths.sum(), dtype=np.float16)[:, None]
        return SentenceBank(
            tokens, np.cumsum(lengths) - lengths, lengths, sentences._classes(some)
        )

    monkeypatch.setattr(sentences, 'encode_sentences', encode)
    return calls


def test_a_batch_holds_the_tokens_of_its_rows_and_zeros_behind():
    text = bank().batch(np.array([2, 0])).text
    assert text.shape == (2, MAX_TOKENS, 2)
    assert text.dtype == torch.float32
    assert text[:, :4, 0].tolist() == [[5.0, 6.0, 0.0, 0.0], [1.0, 2.0, 3.0, 0.0]]
    assert (text[:, 4:] == 0).all()


def test_the_mask_is_true_where_there_is_a_token():
    got = bank().batch(np.array([0, 1, 2, 1]))
    assert got.text_mask.sum(dim=1).tolist() == [3, 1, 2, 1]
    assert torch.equal(got.text_mask, got.text[:, :, 0] != 0)


def test_classes_are_places_among_the_meant_words_and_minus_one_where_nothing_is_said():
    assert sentences._classes(SENTENCES).tolist() == [
        [MEANT_TASKS.index('put'), MEANT_COLOURS.index('red'), MEANT_SHAPES.index('ball'),
         MEANT_ZONES.index('green')],
        [MEANT_TASKS.index('pick'), MEANT_COLOURS.index('blue'), MEANT_SHAPES.index('any'), -1],
        [MEANT_TASKS.index('none'), -1, -1, -1],
    ]  # fmt: skip


def test_a_batch_has_the_classes_of_its_rows():
    got = bank().batch(np.array([1, 2]))
    assert [int(part[0]) for part in got[2:]] == [2, 2, 6, -1]
    assert [int(part[1]) for part in got[2:]] == [0, -1, -1, -1]


def test_a_bank_is_as_long_as_it_has_sentences():
    assert len(bank()) == 3


def test_training_sentences_begin_with_all_plain_ones():
    plain = every_plain_sentence()
    looked_up, as_said = make_sentences(2 * len(plain) + 11, seed=3)
    assert looked_up[: len(plain)] == plain
    assert (len(looked_up), len(as_said)) == (len(plain) + 6, len(plain) + 5)
    assert make_sentences(20, seed=3)[0] == plain[:10]


def test_what_is_read_as_it_is_said_has_words_of_the_lexicon():
    looked_up, as_said = make_sentences(4000, seed=3)
    rare = {*LEXICON.colours, *LEXICON.things, *LEXICON.shapes} - vocabulary()
    said = [len(rare & set(re.findall('[a-z]+', s.text))) > 0 for s in as_said]
    assert np.mean(said) > 0.3
    assert not any(rare & set(re.findall('[a-z]+', s.text)) for s in looked_up)


def test_words_of_validation_and_test_are_not_taken_from_the_lexicon():
    words = {
        word for some in lexicon_words(LEXICON).values() for said in some for word in said.split()
    }
    kept = vocabulary('test') | vocabulary('validation')
    assert {'crimson', 'claret'} <= kept & LEXICON.colours.keys()
    assert words & kept <= {'coloured', 'colored'}


def test_words_of_the_lexicon_mean_what_it_says():
    words = lexicon_words(LEXICON)
    assert {'cyan', 'kumquat', 'kumquat coloured'} <= {
        *words['colours', 'blue'],
        *words['colours', 'orange'],
    }
    assert 'ashcan' in words['shapes', 'cylinder']


def test_the_seed_decides_what_is_said():
    assert new_sentences(40, 5) == new_sentences(40, 5)
    assert new_sentences(40, 5) != new_sentences(40, 6)


def test_a_bank_on_disk_is_not_encoded_again(tmp_path, encoded):
    first = sentence_bank(tmp_path, 300, seed=0, workers=1)
    again = sentence_bank(tmp_path, 300, seed=0, workers=2)
    assert len(encoded) == 1
    for part in ('tokens', 'starts', 'lengths', 'classes'):
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))


def test_other_sentences_are_encoded_anew(tmp_path, encoded):
    sentence_bank(tmp_path, 500, seed=0, workers=1)
    other = sentence_bank(tmp_path, 500, seed=1, workers=1)
    assert [len(some) for some in encoded] == [500, 500]
    assert len(other) == 500


def test_a_half_written_bank_is_made_again(tmp_path, encoded):
    sentence_bank(tmp_path, 20, seed=0, workers=1)
    (path,) = tmp_path.glob('*.npz')
    path.rename(path.with_suffix('.partial'))
    sentence_bank(tmp_path, 20, seed=0, workers=1)
    assert len(encoded) == 2
    assert [f.suffix for f in tmp_path.iterdir()] == ['.npz']


def test_the_bank_holds_what_the_encoder_says():
    made = encode_sentences(SENTENCES, workers=1)
    wanted = load_text_encoder().encode_all([s.text for s in SENTENCES])
    got = made.batch(np.arange(3))
    assert made.lengths.tolist() == [len(features) for features in wanted]
    for row, features in zip(got.text, wanted, strict=True):
        np.testing.assert_allclose(row[: len(features)], features, atol=2e-3)


def test_a_bank_may_hold_what_was_said_and_what_it_was_looked_up_as():
    said = [Sentence('take the crimson ball', Meaning('pick', 'red', 'ball'))]
    made = encode_sentences(said, workers=1, as_said=said)
    encode_all = load_text_encoder().encode_all
    looked_up, as_said = made.batch(np.arange(2)).text
    n, m = made.lengths
    np.testing.assert_allclose(looked_up[:n], encode_all(['take the red ball'])[0], atol=2e-3)
    np.testing.assert_allclose(as_said[:m], encode_all([said[0].text], False)[0], atol=2e-3)
    assert made.classes[0].tolist() == made.classes[1].tolist()


def test_by_length_the_shortest_sentences_come_first_with_what_they_mean():
    lengths = torch.tensor([3, 1, 2])
    mask = torch.arange(4)[None] < lengths[:, None]
    text = torch.arange(3.0)[:, None, None].expand(3, 4, 2)
    got = by_length(SentenceBatch(text, mask, *[torch.arange(3)] * 4))
    assert got.text_mask.sum(dim=1).tolist() == [1, 2, 3]
    assert got.text[:, 0, 0].tolist() == got.task.tolist() == got.zone.tolist() == [1, 2, 0]
