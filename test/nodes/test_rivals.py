"""Second publishers; over real topics they are tested with the pose node."""

import time

import pytest
from rclpy.node import Node

from vla_ros.nodes import wiring
from vla_ros.nodes.rivals import LEASE_S, Lookout, Rivals, WATCHED

pytestmark = pytest.mark.ros

UNKNOWN = '_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_'


def test_one_publisher_or_none_a_topic_is_fine():
    assert Rivals().judge({'/robot_action': ['/pose'], '/vla/action_chunk': []}, 0.0) == {}


@pytest.mark.parametrize(
    ('names', 'shown'),
    [
        (['/sim', '/bag_player'], '/bag_player, /sim'),
        (['/sim', UNKNOWN], '/sim, (not known yet)'),
        ([UNKNOWN, UNKNOWN], '(not known yet), (not known yet)'),
    ],
)
def test_two_nodes_are_named_at_once(names, shown):
    told = Rivals().judge({'/robot_pose': names}, 0.0)
    assert told == {'/robot_pose': f'/robot_pose has 2 publishers: {shown}'}


def test_what_may_be_a_killed_process_is_waited_for_until_its_lease_is_over():
    rivals, found = Rivals(), {'/robot_pose': ['/sim', '/sim']}
    assert rivals.judge(found, 100.0) == {}
    assert rivals.judge(found, 100.0 + LEASE_S) == {}
    assert 'has 2 publishers' in rivals.judge(found, 100.1 + LEASE_S)['/robot_pose']


def test_a_node_that_lives_waits_for_no_other_of_its_name():
    assert Rivals(['/robot_action']).judge({'/robot_action': ['/pose', '/pose']}, 0.0)


def test_each_restart_has_a_lease_of_its_own():
    rivals = Rivals()
    for now_s in (0.0, 30.0, 60.0):
        assert rivals.judge({'/robot_pose': ['/sim', '/sim']}, now_s) == {}
        assert rivals.judge({'/robot_pose': ['/sim']}, now_s + 20.0) == {}


def test_a_stranger_is_noticed_as_soon_as_it_is_discovered(graph):
    """The next look names it, and the next after its end does not."""
    topic = wiring.ROBOT_POSE
    lookout = Lookout(graph.peer, (topic,))
    topic.publisher(graph.peer)
    graph.until(lambda: graph.peer.count_publishers(topic.name) == 1)
    assert not lookout.look(time.monotonic())
    stranger = graph.add(Node('stranger'))
    topic.publisher(stranger)
    graph.until(lambda: graph.peer.count_publishers(topic.name) == 2)
    assert '/robot_pose has 2 publishers' in lookout.look(time.monotonic())
    assert lookout.is_contested(topic, time.monotonic())
    graph.until(lambda: '/peer, /stranger' in lookout.look(time.monotonic()))
    graph.remove(stranger)
    graph.until(lambda: graph.peer.count_publishers(topic.name) == 1)
    assert not lookout.is_contested(topic, time.monotonic())


def test_to_look_costs_microseconds_while_nobody_else_is_there(graph):
    lookout = Lookout(graph.peer, WATCHED)
    for topic in WATCHED:
        topic.publisher(graph.peer)
    lookout.look(time.monotonic())
    started_s = time.process_time()  # others may keep the machine busy
    for _ in range(1000):
        lookout.look(time.monotonic())
    assert (time.process_time() - started_s) / 1000 < 2e-4  # ten times what it takes
