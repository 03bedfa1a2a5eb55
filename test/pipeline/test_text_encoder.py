import os
from pathlib import Path
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tiny_policy import write_policy
import torch

from vla_ros import paths
from vla_ros.errors import ConfigurationError
from vla_ros.pipeline import text_encoder
from vla_ros.pipeline.command import CommandError
from vla_ros.pipeline.lexicon import NO_LEXICON
from vla_ros.pipeline.manifest import TextEncoderPin
from vla_ros.pipeline.text_encoder import (
    load_text_encoder,
    MAX_TOKENS,
    text_encoder_of,
    TorchTextEncoder,
)

REFERENCE = np.load(Path(__file__).parents[1] / 'models' / 'minilm_reference.npz')
SENTENCES = REFERENCE['sentences'].tolist()
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A cache that holds the encoder; not to be changed."""
    cache = tmp_path_factory.mktemp('cache')
    load_text_encoder(str(cache))
    return cache


@pytest.fixture
def cache(made, tmp_path):
    """The same, to be damaged: the files are linked, so replace them, never write to them."""
    shutil.copytree(made, tmp_path / 'cache', copy_function=os.link)
    return tmp_path / 'cache'


@pytest.fixture(scope='module')
def encoder(made):
    return load_text_encoder(str(made))


@pytest.fixture
def exports(monkeypatch, made):
    """Replace the export, which takes seconds, by links to its result; return its calls."""
    paths = []

    def export(path):
        paths.append(path)
        for name in ('encoder.pt', 'encoder.json', 'tokenizer.json'):
            path.with_name(name).unlink(missing_ok=True)
            os.link(file_in(made, name), path.with_name(name))

    monkeypatch.setattr(text_encoder, '_export', export)
    return paths


def file_in(cache, name):
    return next(cache.rglob(name))


@pytest.mark.parametrize('index', range(len(SENTENCES)), ids=SENTENCES)
def test_features_are_those_of_the_reference(encoder, index):
    features = encoder.encode(SENTENCES[index])
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, REFERENCE[f'features_{index}'], rtol=0, atol=1e-4)


def test_the_pieces_are_those_of_the_words_as_read_one_a_token(encoder):
    pieces = encoder.pieces('grab the crimson orb')
    assert pieces == ('[CLS]', 'grab', 'the', 'red', 'ball', '[SEP]')
    assert len(encoder.encode('grab the crimson orb')) == len(pieces)


def test_encoder_tells_what_policies_pin(encoder):
    assert (encoder.id, encoder.width, len(encoder.sha256)) == ('all-MiniLM-L6-v2', 384, 64)


def test_a_command_that_would_be_cut_is_refused(encoder):
    assert len(encoder.encode('block ' * (MAX_TOKENS - 2))) == MAX_TOKENS
    for words in (MAX_TOKENS - 1, 100):
        with pytest.raises(CommandError, match=f'has {words + 2} tokens; {MAX_TOKENS} fit'):
            encoder.encode('block ' * words)


def test_a_policy_is_given_as_many_tokens_as_it_takes(made, encoder, tmp_path):
    pin = TextEncoderPin(encoder.id, encoder.sha256, encoder.width, max_tokens=6)
    path = write_policy(tmp_path / 'few.pt', text_encoder=pin)
    own = text_encoder_of(path, str(made))
    assert len(own.encode('pick up the block')) == 6
    with pytest.raises(CommandError, match='has 7 tokens; 6 fit'):
        own.encode('pick up the red block')


def test_a_policy_for_another_encoder_is_refused(made, encoder, tmp_path):
    pin = TextEncoderPin(encoder.id, '0' * 64, encoder.width, MAX_TOKENS)
    path = write_policy(tmp_path / 'other.pt', text_encoder=pin)
    with pytest.raises(ConfigurationError, match='train it again'):
        text_encoder_of(path, str(made))


def test_of_many_texts_a_long_one_is_cut(encoder):
    assert encoder.encode_all(['block ' * 100])[0].shape == (MAX_TOKENS, 384)


def test_many_texts_at_once_are_encoded_as_one_by_one(encoder):
    texts = ['pick', 'put the red block in the green zone', 'block ' * 100, 'grab the orb', '']
    together = encoder.encode_all(texts * 15)
    assert len(together) == 75
    for text, features in zip(texts * 15, together, strict=True):
        np.testing.assert_allclose(features, encoder.encode_all([text])[0], atol=1e-5)


def test_no_text_at_all_is_no_features(encoder):
    assert encoder.encode_all([]) == []


def test_rare_words_are_encoded_as_plain_ones(encoder):
    rare, plain = encoder.encode('grab the crimson orb!'), encoder.encode('grab the red ball!')
    np.testing.assert_array_equal(rare, plain)


def test_another_lexicon_is_another_encoder(cache, encoder, monkeypatch, tmp_path):
    (tmp_path / 'lexicon.json').write_text(NO_LEXICON.to_json())
    monkeypatch.setattr(paths, 'lexicon_path', lambda: tmp_path / 'lexicon.json')
    other = load_text_encoder(str(cache))
    assert other.sha256 != encoder.sha256
    assert other.pieces('crimson')[1:-1] == ('crimson',)


def test_later_start_does_not_export_again(cache, exports):
    load_text_encoder(str(cache))
    assert not exports


@pytest.mark.parametrize('name', ['encoder.pt', 'encoder.json', 'tokenizer.json'])
@pytest.mark.parametrize('damage', ['missing', 'empty'])
def test_damaged_cache_is_made_again(cache, exports, name, damage):
    file = file_in(cache, name)
    file.unlink()
    if damage == 'empty':
        file.touch()
    assert load_text_encoder(str(cache)).encode('pick').shape == (3, 384)
    assert len(exports) == 1


def test_flipped_bit_is_found(cache, exports):
    file = file_in(cache, 'encoder.pt')
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    load_text_encoder(str(cache))
    assert len(exports) == 1


def test_cache_of_another_format_is_made_again(cache, exports):
    file = file_in(cache, 'encoder.json')
    text = file.read_text().replace('"format_version": 1', '"format_version": 0')
    file.unlink()
    file.write_text(text)
    load_text_encoder(str(cache))
    assert len(exports) == 1


def test_two_first_starts_at_once_both_work(tmp_path):
    code = (
        'from vla_ros.pipeline.text_encoder import load_text_encoder as load;'
        f'print(load({str(tmp_path)!r}).encode("pick").shape)'
    )
    both = [
        subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ['(3, 384)\n'] * 2
    names = sorted(f.name for f in tmp_path.rglob('*') if f.is_file())
    assert names == ['encoder.json', 'encoder.pt', 'lock', 'tokenizer.json']


def test_cache_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(ConfigurationError, match='cannot be written .* choose another folder'):
        load_text_encoder(str(tmp_path / 'file'))


def test_full_disk_is_told_and_nothing_half_written_is_left(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(ConfigurationError, match='No space left on device.*free space'):
        load_text_encoder(str(tmp_path))
    assert [f.name for f in tmp_path.rglob('*') if f.is_file()] == ['lock']


def test_none_is_longer_than_what_was_encoded_at_the_start(made, monkeypatch):
    encode_all, tokens = TorchTextEncoder.encode_all, []

    def noting(self, texts):
        features = encode_all(self, texts)
        tokens.extend(map(len, features))
        return features

    monkeypatch.setattr(TorchTextEncoder, 'encode_all', noting)
    load_text_encoder(str(made))
    assert max(tokens) == MAX_TOKENS


def test_threads_are_those_asked_for(cache):
    load_text_encoder(str(cache), num_threads=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 2
