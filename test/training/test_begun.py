"""A folder serves one configuration alone."""

from dataclasses import replace

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.training.begun import begin, check_begun, config_path, differences
from vla_ros.training.config import load_config

CONFIG = load_config()


def test_a_run_goes_on_with_its_own_configuration(tmp_path):
    for _ in range(2):
        begin(CONFIG, tmp_path / 'run', '--name')
    assert load_config(config_path(tmp_path / 'run')) == CONFIG


def test_another_configuration_is_told_and_not_written(tmp_path):
    begin(CONFIG, tmp_path, '--name')
    before = config_path(tmp_path).read_bytes()
    other = replace(CONFIG, seed=1, loss_weights={**CONFIG.loss_weights, 'yaw': 3.0})
    with pytest.raises(ConfigurationError) as told:
        begin(other, tmp_path, '--name')
    assert str(told.value) == (
        f'{tmp_path} was begun with another configuration: seed is 0 there and 1 here, '
        'loss_weights.yaw is 1.0 there and 3.0 here; remove the folder, or choose another --name'
    )
    assert config_path(tmp_path).read_bytes() == before


def test_options_that_were_not_given_are_not_those_of_the_default(tmp_path):
    bare = replace(CONFIG, options={})
    begin(bare, tmp_path, '--name')
    assert differences(bare, tmp_path) == ''
    assert 'options.heads is not set there and 4 here' in differences(CONFIG, tmp_path)


def test_a_run_that_was_begun_before_a_setting_was_there_goes_on(tmp_path):
    begin(CONFIG, tmp_path, '--name')
    path = config_path(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('validation_episodes: 10\n', ''))
    assert path.read_text() != text
    begin(CONFIG, tmp_path, '--name')
    assert path.read_text() == text


def test_of_many_differences_the_first_are_told(tmp_path):
    begin(CONFIG, tmp_path, '--name')
    other = replace(CONFIG, policy='late', options={})
    assert differences(other, tmp_path).endswith(
        'is 64 there and not set here, options.text_width is 128 there and not set here, 3 more'
    )


def test_only_the_settings_that_matter_count(tmp_path):
    begin(CONFIG, tmp_path, '--name')
    assert differences(replace(CONFIG, seed=1), tmp_path, ('demonstrations', 'episodes')) == ''


def test_a_folder_that_was_not_begun_differs_in_nothing(tmp_path):
    check_begun(CONFIG, tmp_path / 'none', '--name')
    assert not (tmp_path / 'none').exists()
