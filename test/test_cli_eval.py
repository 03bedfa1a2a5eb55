"""``vla-ros eval`` as its users call it."""

from dataclasses import replace
import json
import shutil

import pytest

from vla_ros.cli import eval as eval_command
from vla_ros.cli import main
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import manifest_path, read_manifest, to_json


@pytest.mark.parametrize(
    ('argv', 'reason'),
    [
        (['--split', 'hard'], "no split 'hard'; there are: known, rare, patterns,"),
        (['--episodes', '0'], '--episodes must be at least 1'),
        (['--latency', '-0.1'], '--latency is -0.1; valid: 0 and more'),
        (['--workers', '0'], '--workers is 0; valid: 1 and more'),
        (['--split', 'all', '--through', 'ros'], 'disturbed cannot go through ros'),
        (['--commands', '/nowhere.jsonl'], '/nowhere.jsonl: cannot be read'),
        (['--policy', '/nowhere.pt'], '/nowhere.json: there is no such file'),
    ],
)
def test_a_users_mistake_is_one_sentence(argv, reason, capsys):
    assert main(['eval', *argv]) == 2
    assert reason in capsys.readouterr().err


def test_the_balance_of_an_exported_policy_is_refused_before_any_trial(tmp_path, capsys):
    policy = tmp_path / 'mine.onnx'
    manifest = replace(read_manifest(shipped_policy_path()), backend='onnxruntime')
    manifest_path(policy).write_text(to_json(manifest))
    argv = ['--policy', str(policy), '--balance', '--out', str(tmp_path / 'out')]
    assert main(['eval', *argv]) == 2
    assert 'onnxruntime has no gradients, so there is no balance; give' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_policy_for_another_text_encoder_is_refused_before_any_trial(tmp_path, capsys):
    policy, manifest = tmp_path / 'mine.pt', read_manifest(shipped_policy_path())
    other = replace(manifest.text_encoder, sha256='a' * 64)
    manifest_path(policy).write_text(to_json(replace(manifest, text_encoder=other)))
    argv = ['--policy', str(policy), '--out', str(tmp_path / 'out')]
    assert main(['eval', *argv]) == 2
    assert 'got a policy for the text encoder' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_help_names_every_split_and_a_line_of_a_commands_file(capsys):
    with pytest.raises(SystemExit):
        main(['eval', '--help'])
    shown = capsys.readouterr().out
    assert '  swap ' in shown
    assert '"object": "red block"' in shown


@pytest.mark.timeout(600)
def test_what_was_measured_is_told_kept_and_made_a_card_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(eval_command, '_ABSTENTION_COUNT', 2)
    policy, card = tmp_path / 'mine.pt', tmp_path / 'docs' / 'mine.md'
    shutil.copy(shipped_policy_path(), policy)
    shutil.copy(manifest_path(shipped_policy_path()), manifest_path(policy))
    commands = tmp_path / 'mine.jsonl'
    line = {'task': 'pick', 'object': 'red block', 'zone': None, 'text': 'pick up the red block'}
    commands.write_text(json.dumps(line))
    common = ['--policy', str(policy), '--out', str(tmp_path / 'out'), '--workers', '1']

    own = ['--commands', str(commands), '--episodes', '1', '--json', str(tmp_path / 'mine.out')]
    assert main(['eval', *common, *own]) == 0
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / 'mine.out').read_text())['splits']['commands']
    assert (found['n'], set(found['tasks'])) == (1, {'pick'})
    assert 'commands' in shown
    assert 'false stops' in shown

    for split, latency in (('refuse', '0.06'), ('disturbed', '0.2')):
        chosen = ['--split', split, '--episodes', '1', '--card', str(card)]
        assert main(['eval', *common, *chosen, '--latency', latency]) == 0
    text = card.read_text()
    assert '--split refuse --episodes 1 --seed 0' in text  # kept from the first of the two
    assert '--split disturbed --episodes 1 --seed 0 --latency 0.2' in text
    assert text.count('--latency') == 1
    assert '![ROC](mine/abstention.png)' in text
    kept = json.loads((tmp_path / 'mine.eval.json').read_text())
    assert {name: s['success'] for name, s in kept['splits'].items()} == pytest.approx(
        dict(read_manifest(policy).metrics), abs=1e-4
    )
