"""The whole graph as its users run it: real processes over real middleware."""

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
    Up,
    user_of,
)

pytestmark = [pytest.mark.ros, pytest.mark.graph, pytest.mark.xdist_group('graph')]


@pytest.fixture(scope='module')
def up(tmp_path_factory):
    with running(tmp_path_factory.mktemp('up'), '--seed', '4') as opened:
        yield opened


@pytest.fixture(scope='module')
def user(up):
    with user_of() as opened:
        yield opened


def test_every_node_is_a_process_of_its_own(up):
    assert set(up.children()) == {'sim', 'camera', 'command', 'inference', 'pose', 'marker'}


def test_nothing_moves_before_the_first_command(user):
    check_nothing_moves_unasked(user)


def test_the_robot_does_what_the_text_says_by_ground_truth(user):
    name = far_object(user)
    assert obeyed(user, f'pick up the {name}', f'pick|{name}|')


def test_stop_holds_at_once_where_the_robot_is(user):
    check_stop_holds(user)


def test_a_killed_policy_leads_to_a_hold_and_comes_back(up, user):
    name = far_object(user)
    user.publish(f'point at the {name}')
    assert user.wait(lambda: user.status.state == 'running', 5.0), user.status
    os.kill(up.children()['inference'], signal.SIGKILL)
    assert user.wait(lambda: user.status.state == 'holding', 2.0)
    assert user.wait(lambda: up.children().get('inference') is not None, 20.0)
    assert obeyed(user, f'point at the {name}', f'point|{name}|', timeout_s=40.0)
    assert 'inference' in up.shown()


def test_a_second_graph_on_the_same_domain_is_refused_in_one_sentence(up, tmp_path):
    second = Up(tmp_path)
    assert second.process.wait(timeout=30) == 2
    assert f'process {up.process.pid}' in second.shown()
    assert len(second.shown().strip().splitlines()) == 1


def test_another_namespace_hears_nothing_of_this_one(up, user, tmp_path):
    with running(tmp_path, '--namespace', 'other', '--no-markers'), user_of('other') as stranger:
        name = sorted(user.sim_state['objects'])[0]
        user.publish(f'point at the {name}')
        assert moved_m(stranger, 1.5) < 0.002
        assert stranger.status.state == 'idle'


def test_the_end_is_quick_clean_and_complete(up):
    check_the_end(up)
