"""Second publishers; over real topics they are tested with the pose node."""

import pytest

from vla_ros.nodes.rivals import LEASE_S, Rivals

pytestmark = pytest.mark.ros

UNKNOWN = '_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_'


def test_one_publisher_or_none_a_topic_is_fine():
    assert Rivals().judge({'/robot_action': ['/pose'], '/vla/action_chunk': []}, 0.0) == ''


def test_two_nodes_are_named_at_once():
    told = Rivals().judge({'/robot_pose': ['/sim', '/bag_player']}, 0.0)
    assert told == '/robot_pose has 2 publishers: /bag_player, /sim'


@pytest.mark.parametrize('names', [['/pose', '/pose'], ['/pose', UNKNOWN]])
def test_what_may_be_a_killed_process_is_waited_for_until_its_lease_is_over(names):
    rivals = Rivals()
    assert rivals.judge({'/robot_action': names}, 100.0) == ''
    assert rivals.judge({'/robot_action': names}, 100.0 + LEASE_S) == ''
    assert 'has 2 publishers' in rivals.judge({'/robot_action': names}, 100.1 + LEASE_S)


def test_each_restart_has_a_lease_of_its_own():
    rivals = Rivals()
    for now_s in (0.0, 30.0, 60.0):
        assert rivals.judge({'/robot_action': ['/pose', '/pose']}, now_s) == ''
        assert rivals.judge({'/robot_action': ['/pose']}, now_s + 20.0) == ''
