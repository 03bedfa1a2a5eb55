"""The whole graph as its users run it: real processes over real middleware."""

import os
from pathlib import Path
import signal

import pytest
from whole_graph import far_object, moved_m, obeyed, READY_S, Up

pytestmark = [pytest.mark.ros, pytest.mark.graph, pytest.mark.xdist_group('graph')]


@pytest.fixture(scope='module')
def up(tmp_path_factory):
    running = Up(tmp_path_factory.mktemp('up'), '--seed', '11')
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


def test_every_node_is_a_process_of_its_own(up):
    assert set(up.children()) == {'sim', 'camera', 'command', 'inference', 'pose', 'marker'}


def test_nothing_moves_before_the_first_command(user):
    assert moved_m(user, 1.0) < 0.002
    assert user.status.state == 'idle'


def test_the_robot_does_what_the_text_says_by_ground_truth(user):
    name = far_object(user)
    assert obeyed(user, f'pick up the {name}', f'pick|{name}|')


def test_stop_holds_at_once_where_the_robot_is(user):
    user.say(f'point at the {far_object(user)}')
    assert user.wait(lambda: user.status.state == 'running', 5.0), user.status
    user.say('stop')
    assert user.wait(lambda: user.status.reason == 'stopped', 1.0)
    user.wait(lambda: False, 0.7)
    assert moved_m(user, 0.7) < 0.002


def test_a_killed_policy_leads_to_a_hold_and_comes_back(up, user):
    name = far_object(user)
    user.say(f'point at the {name}')
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
    other = Up(tmp_path, '--namespace', 'other', '--no-markers')
    try:
        other.wait_for('ready:', READY_S)
        from vla_ros.nodes.client import client

        with client('other') as stranger:
            stranger.wait_ready()
            assert stranger.wait(lambda: stranger.sim_state is not None, 10.0)
            name = sorted(user.sim_state['objects'])[0]
            user.say(f'point at the {name}')
            assert moved_m(stranger, 1.5) < 0.002
            assert stranger.status.state == 'idle'
    finally:
        other.end(signal.SIGINT)


def test_the_end_is_quick_clean_and_complete(up):
    pids = list(up.children().values())
    assert up.end(signal.SIGINT) < 5.0
    assert not [pid for pid in pids if Path(f'/proc/{pid}').exists()]
    assert 'Traceback' not in up.shown()
