from dataclasses import replace

from every_policy import register_mine
import pytest
import yaml

from vla_ros.errors import ConfigurationError
from vla_ros.models.registry import policy_names
from vla_ros.pipeline.policy import load_policy
from vla_ros.training import parallel
from vla_ros.training.batches import BatchConfig
from vla_ros.training.config import changed, CorrectionConfig, load_config
from vla_ros.training.run import check, train


def tiny_config():
    config = load_config()
    return replace(
        config,
        options=dict.fromkeys(('image_width', 'text_width', 'heads', 'key_width', 'hidden'), 8),
        episodes=2,
        demonstrations=replace(
            config.demonstrations, episode_s=0.6, labels_per_frame=2, render_sizes=(96,)
        ),
        corrections=CorrectionConfig(at_steps=(2,), episodes=1),
        validation_episodes=5,
        sentences=300,
        batch=BatchConfig(
            frames=4,
            commands=2,
            sentences=16,
            rehearsed=0,
            unrelated_share=0.1,
            absent_share=0.4,
            open_share=0.2,
        ),
        trainer=replace(config.trainer, steps=4, warmup_steps=1, log_every=1, save_every=2),
    )


@pytest.fixture(scope='module')
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    train(tiny_config(), folder, 'tiny', workers=1)
    return folder


def test_a_run_leaves_a_policy_that_loads(run_folder):
    manifest = load_policy(run_folder / 'tiny.pt').manifest
    assert manifest.name == 'tiny'
    assert manifest.horizon == 10


def test_the_policy_is_calibrated_before_it_is_exported(run_folder):
    module = load_policy(run_folder / 'tiny.pt').module
    (threshold,) = [float(t) for name, t in module.named_buffers() if name == 'min_presence']
    assert threshold not in (0.0, 0.5)
    assert list((run_folder / 'validation').glob('*.npy'))


def test_a_run_leaves_its_configuration_and_curves(run_folder):
    saved = yaml.safe_load((run_folder / 'config.yaml').read_text())
    assert saved['policy'] in policy_names()
    assert saved['trainer']['steps'] == 4
    assert (run_folder / 'curves.png').exists()


def test_the_policy_itself_drove_for_the_corrections(run_folder):
    assert len(list((run_folder / 'corrections-0').glob('*.npy'))) == 1


def test_a_finished_run_is_only_exported_again(run_folder):
    log = (run_folder / 'log.jsonl').read_text()
    before = (run_folder / 'tiny.pt').stat().st_mtime_ns
    train(tiny_config(), run_folder, 'tiny', workers=1)
    assert (run_folder / 'log.jsonl').read_text() == log
    assert (run_folder / 'tiny.pt').stat().st_mtime_ns > before


def test_a_run_of_another_configuration_is_left_alone(run_folder):
    before = {path: path.stat().st_mtime_ns for path in run_folder.rglob('*')}
    config = tiny_config()
    others = (
        replace(config, seed=1),
        replace(config, policy='late', options={}),
        replace(config, trainer=replace(config.trainer, steps=6)),
    )
    for other in others:
        with pytest.raises(ConfigurationError, match='begun with another configuration') as told:
            train(other, run_folder, 'tiny', workers=1)
        assert 'remove the folder, or choose another --name or --runs' in str(told.value)
    assert {path: path.stat().st_mtime_ns for path in run_folder.rglob('*')} == before


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'policy': 'late', 'parts_of': 'shipped', 'options': {'image_width': 32}},
            'parts_of: tabletop has no ConvMap of the size that this policy wants; give a',
        ),
        (
            {'demonstrations': {'image_size': 90}},
            'policy keypoint: got a picture of 90 x 90 pixels; take one of a width and height '
            'that 4 divides',
        ),
        (
            {'policy': 'decision_transformer', 'options': {}, 'demonstrations': {'horizon': 1}},
            'policy decision_transformer: got a horizon of 1, expected 2 rows or more',
        ),
        (
            {'batch': {'absent_share': 0.0}},
            'batch.absent_share is 0; valid for policy keypoint: 0.025 and more',
        ),
        (
            {'policy': 'mine', 'options': {}},
            'loss_weights has none for my loss, a loss of policy mine; set loss_weights.my loss',
        ),
    ],
)
def test_what_cannot_be_taught_is_told_before_anything_is_made(
    tmp_path, monkeypatch, changes, message
):
    register_mine(monkeypatch)
    config = changed(replace(tiny_config(), options={}), changes, '')
    with pytest.raises(ConfigurationError) as told:
        train(config, tmp_path / 'run', 'tiny', workers=1)
    assert str(told.value).startswith(message)
    assert not (tmp_path / 'run').exists()


def test_no_picture_is_asked_in_vain_where_no_threshold_is_set(tmp_path):
    config = replace(tiny_config(), policy='late', options={})
    check(replace(config, batch=replace(config.batch, absent_share=0.0)), tmp_path)


def test_more_processes_than_a_batch_is_enough_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, 'ranks', lambda: 8)
    with pytest.raises(ConfigurationError) as told:
        train(load_config(), tmp_path / 'run', 'tiny', workers=1)
    assert str(told.value) == (
        '8 processes have 8 pictures of a batch each; valid: 16 and more. '
        'Start at most 4, or set batch.frames to 128'
    )
    assert not (tmp_path / 'run').exists()
