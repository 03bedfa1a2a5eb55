from dataclasses import replace
import json
import shutil

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.paths import share_dir
from vla_ros.training.config import load_config, save_config
from vla_ros.training.zoo import borrow, config_of, minutes, prepare, share, train_all

CONFIG = load_config()
SMALL = load_config(share_dir() / 'config' / 'train' / 'zoo.yaml')


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


def write_run(folder, config):
    for part in ('demonstrations', 'corrections-0'):
        (folder / part).mkdir(parents=True)
        (folder / part / 'seed0-0000.npy').write_text(f'{part} of {folder.name}')
    save_config(config, folder / 'config.yaml')
    return folder


def test_a_run_lends_what_the_same_configuration_makes(tmp_path):
    run, data = write_run(tmp_path / 'run', SMALL), tmp_path / 'zoo' / 'data'
    for _ in range(2):
        borrow(replace(SMALL, trainer=replace(SMALL.trainer, steps=9)), run, data)
    (data / 'demonstrations' / 'seed0-0001.npy').write_text('made later')
    assert (data / 'demonstrations' / 'seed0-0000.npy').read_text() == 'demonstrations of run'
    assert [path.name for path in (run / 'demonstrations').iterdir()] == ['seed0-0000.npy']


def test_a_run_with_other_demonstrations_is_told_before_anything_is_linked(tmp_path):
    run, data = write_run(tmp_path / 'run', CONFIG), tmp_path / 'zoo' / 'data'
    with pytest.raises(ConfigurationError) as told:
        borrow(SMALL, run, data)
    assert f'{run} has other data: episodes is 700 there and 400 here' in str(told.value)
    assert f'--config {run / "config.yaml"}, or leave --data' in str(told.value)
    assert not data.exists()
    borrow(CONFIG, run, data)


def test_data_of_two_runs_are_not_mixed(tmp_path):
    runs, data = [write_run(tmp_path / name, CONFIG) for name in 'ab'], tmp_path / 'data'
    borrow(CONFIG, runs[0], data)
    with pytest.raises(ConfigurationError, match='is of another run, .*: choose other --runs'):
        borrow(CONFIG, runs[1], data)


def test_a_run_that_was_removed_is_replaced(tmp_path):
    runs, data = [write_run(tmp_path / name, CONFIG) for name in 'ab'], tmp_path / 'data'
    borrow(CONFIG, runs[0], data)
    shutil.rmtree(runs[0])
    borrow(CONFIG, runs[1], data)
    assert (data / 'corrections-0' / 'seed0-0000.npy').read_text() == 'corrections-0 of b'


def test_what_a_zoo_made_is_not_used_with_another_configuration(tmp_path):
    save_config(SMALL, tmp_path / 'config.yaml')
    other = replace(SMALL, demonstrations=replace(SMALL.demonstrations, rest_s=2.0))
    with pytest.raises(ConfigurationError, match='rest_s is 0.8 there and 2.0 here; choose other'):
        prepare(other, tmp_path, workers=1)
