import pytest

from vla_ros.cli import main


@pytest.mark.parametrize(
    ('command', 'reason'),
    [
        ('pick up the red block' + ' and then the green ball' * 12, 'tokens; '),
        ('x' * 5000, 'bytes'),
    ],
)
def test_a_command_that_the_command_node_refuses_is_refused(
    command: str, reason: str, tmp_path, capsys: pytest.CaptureFixture
):
    assert main(['look', command, '--out', str(tmp_path)]) == 2
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
