from contextlib import suppress

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from vla_ros.errors import ConfigurationError
from vla_ros.nodes.executors import CHOICES, choose, spin, VARIABLE

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


def test_an_executor_that_runs_timers_and_tasks_is_taken(graph):
    assert choose({VARIABLE: 'events'}, Sound) is Sound


@pytest.mark.parametrize('broken', [Idle, Broken])
def test_one_that_fails_its_trial_is_replaced(graph, broken, monkeypatch):
    monkeypatch.setattr('vla_ros.nodes.executors._TRIAL_S', 0.05)
    assert choose({VARIABLE: 'events'}, broken) is SingleThreadedExecutor


@pytest.mark.parametrize('environ', [{}, {VARIABLE: ''}, {VARIABLE: 'single'}])
def test_nothing_is_tried_that_is_not_asked_for(graph, environ):
    assert choose(environ, Broken) is SingleThreadedExecutor


def test_a_name_of_none_is_refused_with_those_that_there_are(graph):
    with pytest.raises(ConfigurationError, match="'multi'; valid: single, events"):
        choose({VARIABLE: 'multi'})


def test_the_trial_leaves_no_node_behind(graph):
    choose({VARIABLE: 'events'})
    graph.until(lambda: '_executor_trial' not in graph.peer.get_node_names())


@pytest.mark.parametrize('name', CHOICES)
def test_what_is_chosen_spins_until_the_context_ends(graph, name):
    executor = choose({VARIABLE: name})()
    node = Node('counted')
    ticks = []

    def tick():
        ticks.append(1)
        if len(ticks) == 3:
            rclpy.try_shutdown()

    node.create_timer(0.01, tick)
    executor.add_node(node)
    with suppress(ExternalShutdownException):  # how the usual one says that it has ended
        spin(executor)
    node.destroy_node()
    executor.shutdown()
    assert len(ticks) == 3
