from contextlib import suppress
import time

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from vla_ros.errors import ConfigurationError
from vla_ros.nodes.executors import (
    asked_for,
    AUTO,
    CHOICES,
    choose,
    EVENTS,
    KeepsTime,
    replace,
    SINGLE,
    spin,
    VARIABLE,
)
from vla_ros.nodes.pose_node import PoseNode

pytestmark = pytest.mark.ros


class Sound(SingleThreadedExecutor):
    pass


class Idle(SingleThreadedExecutor):
    """Takes nodes and runs nothing, as the events executor's ``spin`` does in some builds."""

    def spin_once(self, timeout_sec=None):
        pass


class Broken(SingleThreadedExecutor):
    def spin_once(self, timeout_sec=None):
        raise RuntimeError('no events here')


class Punctual(Node, KeepsTime):
    pass


@pytest.fixture
def node(graph):
    node = Node('spun')
    yield node
    node.destroy_node()


@pytest.mark.parametrize('name', [AUTO, EVENTS])
def test_an_executor_that_runs_timers_and_tasks_is_taken(node, name):
    assert type(choose(name, [node], Sound)) is Sound


@pytest.mark.parametrize('name', [AUTO, EVENTS])
@pytest.mark.parametrize('broken', [Idle, Broken])
def test_one_that_fails_its_trial_is_replaced(node, name, broken, monkeypatch):
    monkeypatch.setattr('vla_ros.nodes.executors._TRIAL_S', 0.05)
    assert type(choose(name, [node], broken)) is SingleThreadedExecutor


@pytest.mark.parametrize(('name', 'warnings'), [(AUTO, 0), (EVENTS, 1)])
def test_only_who_asked_for_events_is_told_that_there_are_none(node, capfd, name, warnings):
    choose(name, [node], Broken)
    assert capfd.readouterr().err.count('no events here') == warnings


def test_one_node_that_keeps_time_decides_for_its_thread(node):
    punctual = Punctual('punctual')
    try:
        assert type(choose(AUTO, [node, punctual], Sound)) is SingleThreadedExecutor
        assert type(choose(EVENTS, [node, punctual], Sound)) is Sound
    finally:
        punctual.destroy_node()


def test_the_gate_keeps_time():
    assert issubclass(PoseNode, KeepsTime)


def test_nothing_is_tried_that_is_not_asked_for(node):
    assert type(choose(SINGLE, [node], Broken)) is SingleThreadedExecutor


@pytest.mark.parametrize('environ', [{}, {VARIABLE: ''}, {VARIABLE: 'auto'}])
def test_by_default_each_node_gets_what_is_best_for_it(environ):
    assert asked_for(environ) == AUTO


def test_a_name_of_none_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigurationError, match="'multi'; valid: auto, single, events"):
        asked_for({VARIABLE: 'multi'})


def test_the_trial_leaves_no_node_behind(graph, node):
    choose(EVENTS, [node])
    graph.until(lambda: '_executor_trial' not in graph.peer.get_node_names())


@pytest.mark.parametrize('name', CHOICES)
def test_what_is_chosen_spins_until_the_context_ends(node, name):
    executor = choose(name, [node])
    ticks = []

    def tick():
        ticks.append(1)
        if len(ticks) == 3:
            rclpy.try_shutdown()

    node.create_timer(0.01, tick)
    executor.add_node(node)
    with suppress(ExternalShutdownException):  # how the usual one says that it has ended
        assert not spin(executor)
    executor.shutdown()
    assert len(ticks) == 3


@pytest.fixture
def events(node):
    """The node with an executor of events."""
    executor = choose(EVENTS, [node])
    if isinstance(executor, SingleThreadedExecutor):
        pytest.skip('no events executor here')
    executor.add_node(node)
    yield executor
    executor.shutdown()


def test_a_queue_that_only_grows_is_a_flood(events):
    def breed():
        for _ in range(2):
            events.create_task(breed)

    breed()
    assert spin(events)


def test_many_events_at_once_are_none(node, events, monkeypatch):
    """As after a callback that took long, such as loading a model."""
    monkeypatch.setattr('vla_ros.nodes.executors._FLOOD_S', 3.0)  # on any machine
    for _ in range(2_000):
        events.create_task(lambda: None)
    node.create_timer(0.2, rclpy.try_shutdown)
    with suppress(ExternalShutdownException):
        assert not spin(events)


def test_after_a_flood_everything_goes_on_in_the_usual_executor(graph, node, events):
    heard, ticks = [], []
    node.create_subscription(String, 'words', lambda message: heard.append(message.data), 10)
    node.create_timer(0.01, lambda: ticks.append(1))
    publisher = graph.peer.create_publisher(String, 'words', 10)

    def spin_until_heard(executor, text):
        deadline_s = time.monotonic() + 20.0
        while not (text in heard and ticks) and time.monotonic() < deadline_s:
            publisher.publish(String(data=text))
            executor.spin_once(timeout_sec=0.05)
        assert text in heard
        assert ticks

    spin_until_heard(events, 'before')
    usual = replace(events, [node])
    assert node.executor is usual
    ticks.clear()
    spin_until_heard(usual, 'after')
    usual.shutdown()
