"""The whole graph with one process between camera and robot: the same promises, where cheap."""

import os
from pathlib import Path
import signal

import pytest
from whole_graph import far_object, moved_m, obeyed, READY_S, Up

pytestmark = [pytest.mark.ros, pytest.mark.graph, pytest.mark.xdist_group('graph')]


@pytest.fixture(scope='module')
def up(tmp_path_factory):
    running = Up(tmp_path_factory.mktemp('up'), '--seed', '11', '--composed', '--no-markers')
    try:
        running.wait_for('ready:', READY_S)
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


@pytest.fixture(scope='module')
def user(up):
    from vla_ros.nodes.client import client

    with client() as opened:
        opened.wait_ready()
        assert opened.wait(lambda: opened.sim_state is not None, 10.0)
        yield opened


def test_one_process_is_the_whole_pipeline(up):
    assert set(up.children()) == {'sim', 'composed'}


def test_nothing_moves_before_the_first_command(user):
    assert moved_m(user, 1.0) < 0.002
    assert user.status.state == 'idle'


def test_stop_holds_at_once_where_the_robot_is(user):
    user.say(f'point at the {far_object(user)}')
    assert user.wait(lambda: user.status.state == 'running', 5.0), user.status
    user.say('stop')
    assert user.wait(lambda: user.status.reason == 'stopped', 1.0)
    user.wait(lambda: False, 0.7)
    assert moved_m(user, 0.7) < 0.002


def test_a_killed_process_comes_back_idle_and_obeys(up, user):
    name = far_object(user)
    user.say(f'point at the {name}')
    assert user.wait(lambda: user.status.state == 'running', 5.0), user.status
    os.kill(up.children()['composed'], signal.SIGKILL)
    assert user.wait(lambda: user.status.state == 'idle', 20.0), user.status
    assert moved_m(user, 0.5) < 0.002
    user.wait_ready()
    assert obeyed(user, f'point at the {name}', f'point|{name}|')


def test_the_end_is_quick_clean_and_complete(up):
    pids = list(up.children().values())
    assert up.end(signal.SIGINT) < 5.0
    assert not [pid for pid in pids if Path(f'/proc/{pid}').exists()]
    assert 'Traceback' not in up.shown()
