"""
What spins the nodes of a process: the executor of events, or the usual one where that is better.

The events executor takes less than a third of the processor time for a small message. It is
experimental: in some builds its ``spin`` burns a core and runs nothing while ``spin_once`` works,
some ROS 2 have none, and no guard condition may belong to its nodes. So it is tried before it is
relied on. It keeps every event in one queue, timers behind messages, and drops none: the timer of
a ``KeepsTime`` is kept out of it, and nodes are taken from it when the queue grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import math
import time
from typing import NamedTuple

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.timer import Timer

from vla_ros.errors import ConfigurationError

#: Names the executor of every node in the environment; '' or nothing is the first.
VARIABLE = 'VLA_ROS_EXECUTOR'
AUTO, SINGLE, EVENTS = CHOICES = ('auto', 'single', 'events')

#: How long a call of ``spin_once`` waits.
_WAIT_S = 0.25
#: The trial: so many ticks and two tasks, in so long on a machine that is busy with other things.
_TICKS, _PERIOD_S, _TRIAL_S = 3, 0.01, 2.0


class _Patience(NamedTuple):
    """When a queue is a flood: it has ``many`` events that are not worked off in ``flood_s``."""

    look_after: int
    many: int
    flood_s: float


#: Those that came while a model was loaded for a minute are worked off.
_USUAL = _Patience(look_after=100, many=300, flood_s=0.5)
#: Where an e-stop would wait.
_SHORT = _Patience(look_after=20, many=50, flood_s=0.02)


class KeepsTime:
    """
    Base of a node with a timer that waits for one message at most, however many there are.

    Any executor may spin it; ``spin`` keeps ``ticker``, of the steady clock, out of the queue.
    """

    ticker: Timer


def asked_for(environ: Mapping[str, str]) -> str:
    """Return which of ``CHOICES`` the user wants; raises ConfigurationError for another name."""
    name = environ.get(VARIABLE) or AUTO
    if name not in CHOICES:
        raise ConfigurationError(f'{VARIABLE} is {name!r}; valid: {", ".join(CHOICES)}')
    return name


def choose(name: str, make_events: Callable[[], Executor] | None = None) -> Callable[[], Executor]:
    """
    Return what makes an executor for nodes that take turns in one thread; the context is open.

    ``name`` is one of ``CHOICES``. ``make_events`` makes an executor of events, None is what this
    ROS 2 has; if it fails its trial, the usual executor is returned, and who asked for that of
    events is told. What is returned raises ExternalShutdownException once the context has ended.
    """
    if name == SINGLE:
        return _usual
    why, make = 'this ROS 2 has none', make_events or _events_executor()
    if make is not None:
        why = _fault_of(make)
        if not why:
            return make
    if name == EVENTS:
        text = f'no events executor ({why}): the single-threaded one spins'
        get_logger('executors').warning(text)
    return _usual


def spin(
    executor: Executor, nodes: Iterable[Node], goes_on: Callable[[], bool] = rclpy.ok
) -> bool:
    """
    Spin the ``nodes`` of an executor as long as ``goes_on``; raises what a callback raises.

    That is asked between callbacks, four times a second at least. Returns whether it ended early,
    in a flood: then ``replace`` the executor and spin again.
    """
    if isinstance(executor, SingleThreadedExecutor):
        while goes_on():
            executor.spin_once(timeout_sec=_WAIT_S)
        return False
    ticks = [_Tick(node.ticker) for node in nodes if isinstance(node, KeepsTime)]
    queue = _Queue(executor, _SHORT if ticks else _USUAL)
    while goes_on() and not queue.is_flooded:
        # One event at most, so no tick waits for more than one callback.
        executor.spin_once(timeout_sec=min([_WAIT_S, *(tick.wait_s() for tick in ticks)]))
        queue.look()
        for tick in ticks:
            tick.run_if_due()
    for tick in ticks:
        tick.give_back()
    return queue.is_flooded


def replace(executor: Executor, nodes: Iterable[Node]) -> Executor:
    """
    End an executor, with what waits in it, and return the usual one with its ``nodes``.

    Raises ExternalShutdownException if the context has ended.
    """
    usual = _usual()
    get_logger('executors').warning(
        'flooded with messages: from now on the single-threaded executor spins'
    )
    executor.shutdown()
    for node in nodes:
        usual.add_node(node)
    return usual


class _Tick:
    """A timer that is run from here instead of by the executor, until it is given back."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._period_s = timer.timer_period_ns * 1e-9
        self._due_s = time.monotonic() + self._period_s
        timer.cancel()

    def wait_s(self) -> float:
        return max(0.0, self._due_s - time.monotonic())

    def run_if_due(self) -> None:
        """Run it once if it is time; as with any timer of ROS, what was missed is left out."""
        late_s = time.monotonic() - self._due_s
        if late_s >= 0.0:
            self._due_s += (late_s // self._period_s + 1.0) * self._period_s
            self._timer.callback()

    def give_back(self) -> None:
        self._timer.reset()


class _Queue:
    """
    Tells whether an executor of events falls ever more behind.

    Nothing says how long its queue is, but how many events come before a mark put at its end.
    """

    def __init__(self, executor: Executor, patience: _Patience) -> None:
        self._executor = executor
        self._patience = patience
        self._events = 0
        self._is_marked = False
        self._many_since_s = math.inf
        self.is_flooded = False

    def look(self) -> None:
        """Take note that an event was worked off."""
        self._events += 1
        if not self._is_marked:
            if self._events > self._patience.look_after:
                self._events, self._is_marked = 0, True
                self._executor.create_task(self._come_up)
        elif self._events > self._patience.many:
            now_s = time.monotonic()
            self._many_since_s = min(self._many_since_s, now_s)
            self.is_flooded = now_s - self._many_since_s > self._patience.flood_s

    def _come_up(self) -> None:
        self._events, self._is_marked, self._many_since_s = 0, False, math.inf


def _usual() -> Executor:
    if not rclpy.ok():  # whose constructor would leave half an executor, which complains
        raise ExternalShutdownException
    return SingleThreadedExecutor()


def _events_executor() -> Callable[[], Executor] | None:
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return None
    return EventsExecutor


def _fault_of(make: Callable[[], Executor]) -> str:
    """Return what is wrong with an executor, '' if it runs timers and tasks one at a time."""
    ran: list[str] = []
    node = Node(
        '_executor_trial',  # hidden from lists of nodes
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
        parameter_overrides=[Parameter('start_type_description_service', value=False)],
    )
    try:
        executor = make()
        executor.add_node(node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_PERIOD_S, lambda: ran.append('tick'), clock=steady)
        for _ in range(2):
            executor.create_task(ran.append, 'task')
        deadline_s = time.monotonic() + _TRIAL_S
        while ran.count('tick') < _TICKS or 'task' not in ran:
            if time.monotonic() > deadline_s:
                return 'it does not run timers and tasks'
            count = len(ran)
            executor.spin_once(timeout_sec=_PERIOD_S)
            if len(ran) > count + 1:
                return 'it runs several callbacks at a time'
        executor.remove_node(node)
        executor.shutdown()
    except Exception as error:  # whatever an experiment does
        return str(error)
    finally:
        node.destroy_node()
    return ''
