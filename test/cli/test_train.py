"""``vla-ros train`` and ``teach``: what cannot be is told before anything is made."""

from pathlib import Path

import pytest

from vla_ros.cli import main


@pytest.mark.parametrize(
    ('argv', 'reason'),
    [
        (['train', '--workers', '0'], '--workers is 0; valid: 1 and more'),
        (['train', '--seed', '-1'], '--seed is -1; valid: 0 and more'),
        (['teach', 'none.pt', '--out', 'out', '--workers', '0'], '--workers is 0; valid: 1'),
    ],
)
def test_a_users_mistake_is_one_sentence(
    argv: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_cannot_be_is_told_before_the_demonstrations(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    config, runs = tmp_path / 'mine.yaml', tmp_path / 'runs'
    config.write_text('options: {heads: 0}\n')
    assert main(['train', '--config', str(config), '--runs', str(runs)]) == 2
    assert 'policy keypoint: heads is 0; valid: 1 and more' in capsys.readouterr().err
    assert not runs.exists()
