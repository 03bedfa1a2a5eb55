from dataclasses import replace
import json

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.training.config import load_config, save_config
from vla_ros.training.zoo import config_of, minutes, prepare, share, train_all

CONFIG = load_config()


def write_log(folder, *elapsed_s):
    lines = [json.dumps({'step': 1, 'elapsed_s': value}) for value in elapsed_s]
    (folder / 'log.jsonl').write_text('\n'.join(lines) + '\n')


def test_training_that_was_killed_and_went_on_took_the_sum(tmp_path):
    write_log(tmp_path, 60.0, 120.0, 30.0, 90.0)
    assert minutes(tmp_path) == pytest.approx(3.5)


def test_options_are_those_of_the_policy_that_the_configuration_names():
    assert config_of(CONFIG, 'keypoint') == CONFIG
    other = config_of(CONFIG, 'late')
    assert (other.policy, other.options) == ('late', {})
    assert other.trainer == CONFIG.trainer


def test_corrections_that_are_not_there_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match='corrections-0 is not there'):
        prepare(CONFIG, tmp_path, workers=1)


def test_a_run_with_another_configuration_is_left_alone(tmp_path):
    (tmp_path / 'late').mkdir()
    config = config_of(CONFIG, 'late')
    save_config(replace(config, seed=9), tmp_path / 'late' / 'config.yaml')
    with pytest.raises(ConfigurationError, match='begun with another configuration'):
        list(train_all({'late': config}, tmp_path, tmp_path, workers=1))


def test_shared_data_is_found_in_the_folder_of_each_policy(tmp_path):
    data, folder = tmp_path / 'data', tmp_path / 'late'
    (data / 'demonstrations').mkdir(parents=True)
    (data / 'demonstrations' / 'a.npy').write_text('frames')
    (data / 'sentences-1.npz').write_text('tokens')
    (data / 'checkpoint.pt').write_text('weights')
    for _ in range(2):
        share(data, folder)
    assert (folder / 'demonstrations' / 'a.npy').read_text() == 'frames'
    assert sorted(path.name for path in folder.iterdir()) == ['demonstrations', 'sentences-1.npz']
