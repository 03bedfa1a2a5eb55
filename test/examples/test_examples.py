"""Every example runs and measures what it claims; whether it holds is for a whole run to say."""

import json
import math

import numpy as np
import pytest
from tiny_table import tiny_frames
import torch

from examples import run as module
from examples.run import main, STUDIES
from vla_ros import paths
from vla_ros.training.config import merged

CONFIG = paths.share_dir() / 'config' / 'train' / 'objectives.yaml'
SHORT = {'seeds': 1, 'steps': 2, 'batch': 4}
SMALL = {
    'contrastive': {'width': 8, 'embedding': 8, 'commands': 2},
    'matching': {'width': 8, 'commands': 2},
    'masked_language': {'width': 8, 'sentences': 60},
    'masked_region': {'width': 8},
    'masked_autoencoder': {'width': 8, 'layers': 1},
    'vq_vae': {'width': 8, 'codes': 8, 'revive_every': 1},
    'token_sequence': {'width': 8, 'tokenizer': {**SHORT, 'width': 8, 'codes': 8}},
    'multitask_weights': {'width': 8},
    'elastic_weights': {'width': 8, 'fisher_examples': 3},
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('examples')
    (path / 'demonstrations').mkdir()
    np.save(path / 'demonstrations' / 'seed0-0000.npy', tiny_frames(scenes=20, per_scene=2))
    document = {name: {**SHORT, **SMALL[name]} for name in STUDIES}
    (path / 'tiny.yaml').write_text(json.dumps(document))
    return path


def run(folder, out, *names):
    torch.set_num_threads(1)
    return main(
        [
            *names,
            *('--config', str(folder / 'tiny.yaml'), '--data', str(folder / 'demonstrations')),
            *('--work', str(folder / 'work'), '--out', str(out)),
        ]
    )


def test_every_example_is_configured_and_made_small_here():
    assert set(merged(CONFIG)) == {'table', *STUDIES}
    assert set(SMALL) == set(STUDIES)


@pytest.mark.parametrize('name', STUDIES)
def test_it_measures_what_it_claims_and_leaves_its_pictures(name, folder, tmp_path):
    assert run(folder, tmp_path, name) == 0
    result = json.loads((tmp_path / 'results.json').read_text())[name]
    assert any(line['holds'] is not None for line in result['lines'])
    values = [line['value']['value'] for line in result['lines']]
    assert all(math.isfinite(value) for value in values)
    assert [file for file in result['pictures'] if not (tmp_path / file).stat().st_size] == []
    assert (result['frames'], result['scenes']) == (40, 20)


def test_the_same_seed_measures_the_same(folder, tmp_path):
    for part in ('one', 'other'):
        run(folder, tmp_path / part, 'elastic_weights')
    one, other = (
        json.loads((tmp_path / part / 'results.json').read_text())['elastic_weights']['lines']
        for part in ('one', 'other')
    )
    assert one == other


def test_a_second_example_leaves_the_results_of_the_first(folder, tmp_path):
    run(folder, tmp_path, 'elastic_weights')
    run(folder, tmp_path, 'masked_language')
    results = json.loads((tmp_path / 'results.json').read_text())
    assert list(results) == ['masked_language', 'elastic_weights']


def test_an_unknown_example_is_answered_with_those_there_are(folder, tmp_path, capsys):
    assert run(folder, tmp_path, 'vqvae') == 2
    assert "no example 'vqvae'; valid: contrastive, " in capsys.readouterr().err


def test_own_demonstrations_are_not_taken_as_they_lie_there(folder, capsys, monkeypatch):
    monkeypatch.setattr(module, 'OWN_DATA', folder / 'demonstrations')
    assert main(['vq_vae', '--config', str(folder / 'tiny.yaml')]) == 2
    assert 'does not tell what its demonstrations were made with' in capsys.readouterr().err


def test_an_unknown_setting_is_told(folder, tmp_path, capsys):
    changes = tmp_path / 'changes.yaml'
    changes.write_text('vq_vae: {code: 3}')
    data = str(folder / 'demonstrations')
    assert main(['vq_vae', '--config', str(changes), '--data', data]) == 2
    assert 'code' in capsys.readouterr().err
