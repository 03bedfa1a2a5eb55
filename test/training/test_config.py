from every_policy import register_mine
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.training.config import changed, load_config, save_config


def test_the_defaults_are_valid():
    assert load_config().policy == 'keypoint'


def test_a_file_changes_only_what_it_names(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('trainer:\n  steps: 7000\n')
    config = load_config(path)
    assert config.trainer.steps == 7000
    assert config.trainer.save_every == load_config().trainer.save_every


def test_a_file_that_names_another_policy_starts_without_options(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('policy: late\noptions:\n  head: flow\n')
    assert load_config(path).options == {'head': 'flow'}
    path.write_text('policy: keypoint\noptions:\n  heads: 2\n')
    assert load_config(path).options == {**load_config().options, 'heads': 2}


def test_a_saved_configuration_is_read_back(tmp_path):
    save_config(load_config(), tmp_path / 'config.yaml')
    assert load_config(tmp_path / 'config.yaml') == load_config()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('trainer:\n  step: 7\n', 'unknown trainer.step'),
        ('seed: one\n', 'seed: got "one", expected'),
        ('- 1\n', 'got no mapping'),
        ('trainer:\n  steps: 1000\n', 'corrections.at_steps are [1500, 3000]; valid: ascending'),
        ('trainer:\n  steps: 3000\n', 'between 0 and trainer.steps, 3000, or [] for no correct'),
        ('corrections:\n  at_steps: [9, 9]\n', 'corrections.at_steps are [9, 9]; valid'),
        ('seed: -1\n', 'seed is -1; valid: 0 and more'),
        ('trainer:\n  log_every: 0\n', 'trainer.log_every is 0; valid: 1 and more'),
        ('trainer:\n  save_every: 0\n', 'trainer.save_every is 0; valid: 1 and more'),
        ('trainer:\n  warmup_steps: -1\n', 'trainer.warmup_steps is -1; valid: 0 and more'),
        ('trainer:\n  learning_rate: .nan\n', 'trainer.learning_rate is nan; valid: 0 and'),
        ('trainer:\n  max_gradient_norm: 0\n', 'trainer.max_gradient_norm is 0.0; valid: above 0'),
        ('trainer:\n  max_gradient_norm: .nan\n', 'max_gradient_norm is nan; valid: above 0'),
        ('loss_weights: {positions: 1.0}\n', 'loss_weights has no positions; valid: position, or'),
        ('validation_episodes: 4\n', 'validation_episodes is 4; valid: 5 and more'),
        ('batch:\n  frames: 0\n', 'batch.frames is 0; valid: 1 and more'),
        ('batch:\n  open_share: 0.9\n', 'and open_share sum to 1.06; valid: up to 1'),
        (
            'batch:\n  commands: 13\n',
            'batch.commands is 13; valid: up to demonstrations.labels_per_frame, 12',
        ),
        (
            'demonstrations:\n  render_sizes: []\n',
            'demonstrations.render_sizes is empty; valid: one size in pixels',
        ),
        ('corrections:\n  episodes: 0\n', 'corrections.episodes is 0; valid: 1 and more'),
        ('corrections:\n  at_steps: [0]\n', 'corrections.at_steps are [0]; valid'),
        ('a: [', 'cannot be read as YAML'),
    ],
)
def test_a_mistake_is_told_with_the_file(tmp_path, text, message):
    path = tmp_path / 'mine.yaml'
    path.write_text(text)
    with pytest.raises(ConfigurationError, match='mine.yaml') as caught:
        load_config(path)
    assert message in str(caught.value)


def test_a_registered_policy_may_have_losses_of_its_own(tmp_path, monkeypatch):
    path = tmp_path / 'mine.yaml'
    path.write_text('loss_weights: {my loss: 2.0}\n')
    register_mine(monkeypatch)
    assert load_config(path).loss_weights['my loss'] == 2.0


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match='No such file'):
        load_config(tmp_path / 'none.yaml')


def test_a_change_is_checked_as_a_file_is():
    assert changed(load_config(), {'trainer': {'steps': 7000}}, '--steps').trainer.steps == 7000
    with pytest.raises(ConfigurationError, match='^--steps: corrections.at_steps are'):
        changed(load_config(), {'trainer': {'steps': 1000}}, '--steps')
