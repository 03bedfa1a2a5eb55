"""A policy that is taught words anew: only its reader changes."""

from dataclasses import replace

from fresh_policy import write_fresh_policy
import pytest
import torch

from vla_ros.cli import main
from vla_ros.errors import ConfigurationError
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.training.config import load_config, save_config
from vla_ros.training.rebuild import rebuild
from vla_ros.training.teaching import _trainer, teach
from vla_ros.training.trainer import Trainer


@pytest.fixture(scope='module')
def config_path(tmp_path_factory):
    config = load_config()
    config = replace(
        config,
        corrections=replace(config.corrections, at_steps=()),
        sentences=300,
        batch=replace(config.batch, sentences=16),
        trainer=replace(config.trainer, steps=3, warmup_steps=1, log_every=1, save_every=2),
    )
    path = tmp_path_factory.mktemp('config') / 'tiny.yaml'
    save_config(config, path)
    return path


@pytest.fixture(scope='module')
def taught(config_path, tmp_path_factory):
    return teach(shipped_policy_path(), tmp_path_factory.mktemp('taught'), 1, config_path)


def test_all_but_its_reader_stays(taught):
    before, after = (rebuild(path)[1].state_dict() for path in (shipped_policy_path(), taught))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith('reader.')}


def test_its_manifest_says_so(taught):
    before, after = (load_policy(path).manifest for path in (shipped_policy_path(), taught))
    # The shipped policy was taught again itself: of that only the last time counts.
    assert after.training_data.partition(';')[0] == before.training_data.partition(';')[0]
    assert after.training_data.count('words taught again') == 1
    assert after.text_encoder.sha256 == load_text_encoder().sha256
    assert after.metrics == {}
    assert after.tasks == before.tasks


def test_it_goes_on_where_it_was(taught, config_path):
    log = (taught.parent / 'log.jsonl').read_text()
    assert [line.count('words') for line in log.splitlines()] == [1, 1, 1]
    before = load_policy(taught).manifest.sha256
    again = teach(shipped_policy_path(), taught.parent, 1, config_path)
    assert load_policy(again).manifest.sha256 == before
    assert (taught.parent / 'log.jsonl').read_text() == log


def test_a_policy_is_not_replaced_by_what_it_is_taught(taught):
    with pytest.raises(ConfigurationError, match='give another folder'):
        teach(taught, taught.parent, 1)


def test_other_words_or_settings_are_not_taken_for_what_was_learned(taught, config_path, tmp_path):
    folder = taught.parent
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    words = {('colours', 'red'): ['rubicund']}
    with pytest.raises(ConfigurationError, match='other sentences .* choose another --out'):
        teach(shipped_policy_path(), folder, 1, config_path, words)
    save_config(replace(load_config(config_path), seed=1), tmp_path / 'other.yaml')
    with pytest.raises(ConfigurationError, match='seed is 0 there and 1 here; .* another --out'):
        teach(shipped_policy_path(), folder, 1, tmp_path / 'other.yaml')
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_what_a_whole_policy_learned_is_not_taken_for_a_reader(config_path, tmp_path):
    network = torch.nn.Linear(2, 1)
    config = load_config(config_path).trainer
    Trainer(network, lambda batch: {}, {}, config, tmp_path).save()
    with pytest.raises(ConfigurationError, match='checkpoint.pt is of another network: remove'):
        _trainer(load_config(config_path), tmp_path)


def test_a_policy_that_does_not_read_by_itself_is_told(tmp_path, capsys):
    config = replace(load_config(), policy='early', options={'width': 16, 'heads': 2})
    save_config(config, tmp_path / 'config.yaml')
    path = write_fresh_policy(tmp_path / 'early.pt', config)
    assert main(['teach', str(path), '--out', str(tmp_path / 'taught')]) == 2
    assert 'train it whole: vla-ros train' in capsys.readouterr().err
