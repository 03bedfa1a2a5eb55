"""The command line: what it prints and how it ends."""

import errno
from pathlib import Path
import subprocess
import sys

import pytest

from vla_ros import cli
from vla_ros.cli import main
from vla_ros.domain import only_graph
from vla_ros.errors import ConfigurationError


def run_instead(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(name, argv):
        raise error

    monkeypatch.setattr(cli, '_run', fail)


def test_a_full_disk_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    run_instead(monkeypatch, OSError(errno.ENOSPC, 'No space left on device', '/out/x.png'))
    assert main(['demo']) == 2
    assert capsys.readouterr().err == 'vla-ros: the disk is full (/out/x.png): make room\n'


@pytest.mark.parametrize('argv', [[], ['--help'], ['-h']])
def test_help_lists_every_command(argv: list[str], capsys: pytest.CaptureFixture):
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert all(f'  {name} ' in shown for name in cli.COMMANDS)


def test_every_command_is_a_module_with_help():
    for name in cli.COMMANDS:
        assert (Path(cli.__file__).parent / f'{name}.py').is_file(), name


def test_an_unknown_command_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture):
    assert main(['dance']) == 2
    assert capsys.readouterr().err.startswith("vla-ros: no command 'dance'; there are: demo, up,")


def test_a_users_mistake_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    run_instead(monkeypatch, ConfigurationError('seed is -1; valid: 0 and more'))
    assert main(['demo']) == 2
    assert capsys.readouterr().err == 'vla-ros: seed is -1; valid: 0 and more\n'


def test_missing_ros_is_one_sentence_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    monkeypatch.delitem(sys.modules, 'vla_ros.nodes.client', raising=False)
    assert main(['status']) == 2
    error = capsys.readouterr().err
    assert error.startswith('vla-ros: rclpy is missing: source a ROS 2 setup')
    assert error.count('\n') == 1


def test_another_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    run_instead(monkeypatch, ModuleNotFoundError('no', name='torch.nn'))
    assert main(['train']) == 2
    assert 'torch is missing: install it with' in capsys.readouterr().err


def test_missing_opencv_is_advised_without_wheels_beside_ros(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    run_instead(monkeypatch, ModuleNotFoundError('no', name='cv2'))
    assert main(['demo']) == 2
    error = capsys.readouterr().err
    assert error.startswith('vla-ros: cv2 is missing: install it beside an installed ROS 2 with')
    assert 'bootstrap.py all' not in error


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    run_instead(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(['demo'])


def test_ctrl_c_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    run_instead(monkeypatch, KeyboardInterrupt())
    assert main(['demo']) == 130
    assert capsys.readouterr().err == ''


def test_up_offers_each_graph_its_own_options(capsys: pytest.CaptureFixture):
    shown = {}
    for graph in ('sim', 'robot'):
        with pytest.raises(SystemExit):
            main(['up', graph, '--help'])
        shown[graph] = capsys.readouterr().out
    assert '--seed' in shown['sim']
    assert '--seed' not in shown['robot']
    assert '--no-markers' in shown['robot']


@pytest.mark.parametrize(
    ('argv', 'reason'),
    [
        (['--namespace', '1arm'], "namespace is '1arm'"),
        (['--real-time-factor', '100'], 'real_time_factor is 100.0; valid: 0.5 to 2.0'),
        (['--policy-path', '/nowhere.pt'], '/nowhere.json: there is no such file'),
        (['--params-file', '/nowhere.yaml'], '/nowhere.yaml: No such file'),
    ],
)
def test_up_refuses_what_cannot_be(argv: list[str], reason: str, capsys: pytest.CaptureFixture):
    assert main(['up', 'sim', *argv]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.ros
def test_up_refuses_a_domain_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv('ROS_DOMAIN_ID', '500')
    assert main(['up', 'sim']) == 2
    assert "ROS_DOMAIN_ID is '500'" in capsys.readouterr().err


@pytest.mark.ros
def test_a_second_up_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv('XDG_RUNTIME_DIR', str(tmp_path))
    with only_graph(''):
        assert main(['up', 'sim']) == 2
    assert 'a graph runs already on ROS domain' in capsys.readouterr().err


@pytest.mark.ros
def test_without_a_graph_the_fix_is_told(capsys: pytest.CaptureFixture):
    assert main(['status', '--namespace', 'nobody']) == 2
    error = capsys.readouterr().err
    assert 'no running graph found on ROS domain' in error
    assert 'vla-ros up sim' in error


def test_a_closed_pipe_ends_quietly():
    program = 'import sys; from vla_ros.cli import main; sys.exit(main(["--help"] ))'
    done = subprocess.run(
        f"{sys.executable} -c '{program}' | true", shell=True, capture_output=True, text=True
    )
    assert 'Traceback' not in done.stderr
