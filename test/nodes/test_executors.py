from contextlib import suppress
import time
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from vla_ros.errors import ConfigurationError
from vla_ros.nodes import executors
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

PERIOD_S = 0.25


class Sound(SingleThreadedExecutor):
    pass


class Idle(SingleThreadedExecutor):
    """Takes nodes and runs nothing, as the events executor's ``spin`` does in some builds."""

    def spin_once(self, timeout_sec=None):
        pass


class Broken(SingleThreadedExecutor):
    def spin_once(self, timeout_sec=None):
        raise RuntimeError('no events here')


class Greedy(SingleThreadedExecutor):
    """Runs whatever is ready, so that a tick would wait for all of it."""

    def spin_once(self, timeout_sec=None):
        for _ in range(3):
            super().spin_once(timeout_sec)


class Punctual(Node, KeepsTime):
    """Takes down each tick in ``order``, on a clock that only the test moves."""

    def __init__(self):
        super().__init__('punctual')
        self.now_s = 0.0
        self.order = []
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.ticker = self.create_timer(PERIOD_S, lambda: self.order.append('tick'), clock=steady)

    def pass_time(self, duration_s):
        self.order.append('event')
        self.now_s += duration_s


@pytest.fixture
def node(graph):
    node = Node('spun')
    yield node
    node.destroy_node()


@pytest.mark.parametrize('name', [AUTO, EVENTS])
def test_an_executor_that_runs_timers_and_tasks_is_taken(node, name):
    assert choose(name, Sound) is Sound


@pytest.mark.parametrize('name', [AUTO, EVENTS])
@pytest.mark.parametrize('broken', [Idle, Broken, Greedy])
def test_one_that_fails_its_trial_is_replaced(node, name, broken, monkeypatch):
    monkeypatch.setattr(executors, '_TRIAL_S', 0.05)
    assert type(choose(name, broken)()) is SingleThreadedExecutor


@pytest.mark.parametrize(('name', 'warnings'), [(AUTO, 0), (EVENTS, 1)])
def test_only_who_asked_for_events_is_told_that_there_are_none(node, capfd, name, warnings):
    choose(name, Broken)
    assert capfd.readouterr().err.count('no events here') == warnings


def test_the_gate_keeps_time():
    assert issubclass(PoseNode, KeepsTime)


def test_nothing_is_tried_that_is_not_asked_for(node):
    assert type(choose(SINGLE, Broken)()) is SingleThreadedExecutor


@pytest.mark.parametrize('environ', [{}, {VARIABLE: ''}, {VARIABLE: 'auto'}])
def test_by_default_each_node_gets_what_is_best_for_it(environ):
    assert asked_for(environ) == AUTO


def test_a_name_of_none_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigurationError, match="'multi'; valid: auto, single, events"):
        asked_for({VARIABLE: 'multi'})


def test_the_trial_leaves_no_node_behind(graph, node):
    choose(EVENTS)
    graph.until(lambda: '_executor_trial' not in graph.peer.get_node_names())


@pytest.mark.parametrize('name', CHOICES)
def test_what_is_chosen_spins_until_the_context_ends(node, name):
    executor = choose(name)()
    ticks = []

    def tick():
        ticks.append(1)
        if len(ticks) == 3:
            rclpy.try_shutdown()

    node.create_timer(0.01, tick)
    executor.add_node(node)
    with suppress(ExternalShutdownException):  # how the usual one says that it has ended
        assert not spin(executor, [node])
    executor.shutdown()
    assert len(ticks) == 3


@pytest.fixture
def events(node):
    """The node with an executor of events."""
    executor = choose(EVENTS)()
    if isinstance(executor, SingleThreadedExecutor):
        pytest.skip('no events executor here')
    executor.add_node(node)
    yield executor
    executor.shutdown()


def test_a_queue_that_only_grows_is_a_flood(node, events):
    def breed():
        for _ in range(2):
            events.create_task(breed)

    breed()
    assert spin(events, [node])


def test_many_events_at_once_are_none(node, events, monkeypatch):
    """As after a callback that took long, such as loading a model."""
    patience = executors._USUAL._replace(flood_s=3.0)  # on any machine
    monkeypatch.setattr(executors, '_USUAL', patience)
    for _ in range(2_000):
        events.create_task(lambda: None)
    node.create_timer(0.2, rclpy.try_shutdown)
    with suppress(ExternalShutdownException):
        assert not spin(events, [node])


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


@pytest.fixture
def punctual(events, monkeypatch):
    """A node that keeps time, with an executor of events."""
    node = Punctual()
    monkeypatch.setattr(executors, 'time', SimpleNamespace(monotonic=lambda: node.now_s))
    events.add_node(node)
    yield node
    events.remove_node(node)
    node.destroy_node()


def spin_through(executor, node, durations_s):
    """Spin through events that take so long; return what ran, in its order."""
    for duration_s in durations_s:
        executor.create_task(node.pass_time, duration_s)
    executor.create_task(rclpy.try_shutdown)
    with suppress(ExternalShutdownException):
        spin(executor, [node])
    return node.order


def test_a_tick_waits_for_one_event_however_many_there_are(events, punctual):
    order = spin_through(events, punctual, [PERIOD_S / 4] * 40)
    assert order == ['event', 'event', 'event', 'event', 'tick'] * 10


def test_a_missed_tick_is_left_out_and_the_next_comes_when_it_would_have(events, punctual):
    late_s, soon_s = 3.5 * PERIOD_S, PERIOD_S / 4
    order = spin_through(events, punctual, [late_s, soon_s, soon_s])
    assert order == ['event', 'tick', 'event', 'event', 'tick']


def test_what_a_tick_raises_is_raised(events, punctual):
    punctual.ticker.callback = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        spin_through(events, punctual, [PERIOD_S])


def test_no_event_waits_long_for_a_queue_beside_a_tick(events, punctual):
    """As a call of the e-stop would."""
    spin_through(events, punctual, [0.001] * 1_000)
    assert rclpy.ok()
    assert punctual.now_s < 0.1


def test_a_tick_may_end_the_context(events, punctual, capfd):
    punctual.ticker.callback = rclpy.try_shutdown
    events.create_task(punctual.pass_time, PERIOD_S)
    assert not spin(events, [punctual])
    assert capfd.readouterr() == ('', '')
