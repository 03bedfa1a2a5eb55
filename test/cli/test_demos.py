from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import subprocess
import sys
import time

import numpy as np
import pytest

from vla_ros.cli import main
from vla_ros.training.lerobot import merge, read_episode, write_part


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / 'demos'
    argv = ['demos', '--episodes', '1', '--image-size', '16', '--workers', '1', '--out']
    assert main([*argv, str(folder)]) == 0
    return folder


def test_a_recorded_episode_succeeds_again(dataset: Path, capsys: pytest.CaptureFixture):
    assert main(['demos', '--replay', '0', '--dataset', str(dataset)]) == 0
    shown = capsys.readouterr().out
    assert 'success' in shown
    assert 'at most 0.00 mm from the recording' in shown


def test_an_episode_that_fails_is_told_by_the_exit_code(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    episode, part = read_episode(dataset, 0), tmp_path / 'part.parquet'
    still = np.repeat(episode.actions[:1], len(episode.actions), axis=0)
    write_part(part, replace(episode, actions=still))
    merge(dataset, [part], 'train', 16)
    assert main(['demos', '--replay', '0', '--dataset', str(dataset)]) == 1
    assert 'FAILED' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('argv', 'reason'),
    [
        (['--episodes', '0'], '--episodes is 0; valid: 1 and more'),
        (['--seed', '-1'], '--seed is -1; valid: 0 and more'),
        (['--image-size', '8'], '--image-size is 8; valid: 16 and more'),
        (['--replay', '0', '--dataset', '/nowhere'], '/nowhere holds no complete dataset'),
    ],
)
def test_what_cannot_be_is_one_sentence(
    argv: list[str], reason: str, capsys: pytest.CaptureFixture
):
    assert main(['demos', *argv]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count('\n') == 1


def wait_until(condition: Callable[[], bool]):
    end_s = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_killed_recording_leaves_parts_and_no_process(tmp_path: Path):
    argv = ['demos', '--episodes', '1000', '--image-size', '16', '--workers', '2', '--out']
    command = [sys.executable, '-m', 'vla_ros.cli', *argv, str(tmp_path / 'demos')]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: any(tmp_path.glob('demos/parts/*.parquet')))
        children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
        process.kill()
    assert len(children) >= 2
    wait_until(lambda: not any(Path(f'/proc/{child}').exists() for child in children))
    assert not (tmp_path / 'demos' / 'meta' / 'info.json').exists()
