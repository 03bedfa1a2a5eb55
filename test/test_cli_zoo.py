"""``vla-ros zoo`` as its users call it."""

import json

import pytest

from vla_ros.cli import main
from vla_ros.paths import share_dir

DEFAULT = str(share_dir() / 'config' / 'train' / 'default.yaml')
TINY = """
policy: late
options: {image_width: 8, text_width: 8, width: 8, heads: 2}
episodes: 2
demonstrations: {episode_s: 0.6, labels_per_frame: 2, render_sizes: [96]}
corrections: {at_steps: []}
sentences: 1200
batch: {frames: 4, commands: 2, sentences: 16, open_share: 0.0}
trainer: {steps: 2, warmup_steps: 1, log_every: 1, save_every: 2}
"""


@pytest.mark.parametrize(
    ('argv', 'reason'),
    [
        (['--policies', 'late,best'], "no policy 'best'; there are: bidirectional,"),
        (['--splits', 'hard'], "no split 'hard'; there are: known, rare, patterns,"),
        (['--episodes', '0'], '--episodes is 0; valid: 1 and more'),
        (['--steps', '0'], '--steps is 0; valid: 1 and more'),
        (
            ['--config', DEFAULT, '--steps', '9'],
            '--steps: corrections.at_steps are [1500, 3000]; valid: ascending',
        ),
        (['--data', '/nowhere'], '/nowhere has no demonstrations: give a finished run'),
        (['--config', '/nowhere.yaml'], '/nowhere.yaml: cannot be read'),
    ],
)
def test_a_users_mistake_is_one_sentence(argv, reason, capsys):
    assert main(['zoo', *argv]) == 2
    assert reason in capsys.readouterr().err


def test_what_one_policy_cannot_be_taught_with_is_told_before_the_demonstrations(tmp_path, capsys):
    config, runs = tmp_path / 'tiny.yaml', tmp_path / 'runs'
    config.write_text(TINY.replace('open_share', 'absent_share'))
    argv = ['--policies', 'late,keypoint', '--config', str(config), '--runs', str(runs)]
    assert main(['zoo', *argv]) == 2
    assert 'batch.absent_share is 0; valid for policy keypoint' in capsys.readouterr().err
    assert not runs.exists()


@pytest.mark.timeout(600)
def test_policies_are_trained_measured_and_told_and_what_is_finished_is_kept(tmp_path, capsys):
    config, out = tmp_path / 'tiny.yaml', tmp_path / 'docs' / 'zoo.md'
    config.write_text(TINY)
    argv = ['--policies', 'late', '--config', str(config), '--runs', str(tmp_path / 'runs')]
    argv += ['--splits', 'refuse', '--episodes', '5', '--ros', '0', '--workers', '1']
    argv += ['--out', str(out)]
    assert main(['zoo', *argv]) == 0
    shown = capsys.readouterr().out
    assert 'late: trained in' in shown
    assert '| `late` |' in out.read_text()
    found = json.loads(out.with_suffix('.json').read_text())['policies']['late']
    assert found['report']['splits']['refuse']['n'] == 5
    assert 0 < found['parameters'] < 100_000

    policy = tmp_path / 'runs' / 'late' / 'late.pt'
    made = policy.stat().st_mtime_ns
    assert main(['zoo', *argv]) == 0
    assert policy.stat().st_mtime_ns == made
