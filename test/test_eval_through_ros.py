"""``vla-ros eval --through ros``: the same trials directly and in the real graph."""

import json

import pytest

from vla_ros.cli import main

pytestmark = [pytest.mark.ros, pytest.mark.graph, pytest.mark.xdist_group('graph')]


@pytest.mark.timeout(300)
def test_a_command_is_obeyed_in_the_same_scene_directly_and_in_the_graph(tmp_path, capsys):
    commands, found = tmp_path / 'mine.jsonl', tmp_path / 'found.json'
    line = {'task': 'point', 'object': 'red block', 'zone': None, 'text': 'point at the red block'}
    commands.write_text(json.dumps(line))
    argv = ['--commands', str(commands), '--episodes', '2', '--workers', '1']
    argv += ['--json', str(found), '--out', str(tmp_path), '--through', 'ros']
    assert main(['eval', *argv]) == 0
    assert 'commands: +0.0 points from the direct run' in capsys.readouterr().out
    splits = json.loads(found.read_text())['splits']
    assert {name: split['n'] for name, split in splits.items()} == {
        'commands': 2,
        'commands through ros': 2,
    }
