"""The whole graph with one process between camera and robot: the same promises, where cheap."""

import os
import signal

import pytest
from whole_graph import (
    check_nothing_moves_unasked,
    check_stop_holds,
    check_the_end,
    far_object,
    moved_m,
    obeyed,
    running,
    user_of,
)

pytestmark = [pytest.mark.ros, pytest.mark.graph, pytest.mark.xdist_group('graph')]


@pytest.fixture(scope='module')
def up(tmp_path_factory):
    arguments = ('--seed', '4', '--composed', '--no-markers')
    with running(tmp_path_factory.mktemp('up'), *arguments) as opened:
        yield opened


@pytest.fixture(scope='module')
def user(up):
    with user_of() as opened:
        yield opened


def test_one_process_is_the_whole_pipeline(up):
    assert set(up.children()) == {'sim', 'composed'}


def test_nothing_moves_before_the_first_command(user):
    check_nothing_moves_unasked(user)


def test_stop_holds_at_once_where_the_robot_is(user):
    check_stop_holds(user)


def test_a_killed_process_comes_back_idle_and_obeys(up, user):
    name = far_object(user)
    user.publish(f'point at the {name}')
    assert user.wait(lambda: user.status.state == 'running', 5.0), user.status
    os.kill(up.children()['composed'], signal.SIGKILL)
    assert user.wait(lambda: user.status.state == 'idle', 20.0), user.status
    assert moved_m(user, 0.5) < 0.002
    user.wait_ready()
    assert obeyed(user, f'point at the {name}', f'point|{name}|')


def test_the_end_is_quick_clean_and_complete(up):
    check_the_end(up)
