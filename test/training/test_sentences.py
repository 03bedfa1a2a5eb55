import numpy as np

from vla_ros.training.sentences import (
    every_task,
    load_sentences,
    make_sentences,
    NO_TASK,
    sentence_bank,
)


class Encoder:
    """Encodes a text as one token a word: its length."""

    calls = 0

    def encode(self, text):
        self.calls += 1
        return np.array([[len(word)] * 2 for word in text.split()], np.float32)


def test_every_task_has_its_share_of_different_sentences():
    texts = make_sentences(12, seed=0)
    assert len(every_task()) == 2 * 18 + 2 * 18 * 6
    assert len(set(texts['pick|red block|'])) == 12
    assert len(set(texts['put|red block|green'])) == 2


def test_the_plainest_sentence_is_always_there():
    assert 'pick up the red block' in make_sentences(6, seed=3)['pick|red block|']


def test_the_bank_holds_what_the_encoder_says(tmp_path):
    bank = sentence_bank(tmp_path, Encoder(), 6, seed=0, max_tokens=24)
    row = bank.draw('pick|red block|', np.random.default_rng(0))
    tokens = bank.tokens(row)
    assert 1 <= len(tokens) <= 24
    assert (bank.features[row, len(tokens) :] == 0).all()
    bank.draw(NO_TASK, np.random.default_rng(0))


def test_a_bank_on_disk_is_not_encoded_again(tmp_path):
    first = sentence_bank(tmp_path, Encoder(), 6, seed=0, max_tokens=24)
    encoder = Encoder()
    again = sentence_bank(tmp_path, encoder, 6, seed=0, max_tokens=24)
    assert encoder.calls == 0
    np.testing.assert_array_equal(first.features, again.features)


def test_other_sentences_are_encoded_anew(tmp_path):
    sentence_bank(tmp_path, Encoder(), 6, seed=0, max_tokens=24)
    encoder = Encoder()
    sentence_bank(tmp_path, encoder, 6, seed=1, max_tokens=24)
    assert encoder.calls > 0
    assert load_sentences(tmp_path).texts == make_sentences(6, seed=1)
