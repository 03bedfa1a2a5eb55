"""
What spins the nodes of a process: the executor of events, or the usual one where that is better.

The events executor takes less than a third of the processor time for a small message. It is
experimental: in some builds its ``spin`` burns a core and runs nothing while ``spin_once`` works,
some ROS 2 have none, and no guard condition may belong to its nodes. So it is tried before it is
relied on. It keeps every event in one queue, timers behind messages: a node whose timers may not
wait is a ``KeepsTime``, and any other is taken from it when the queue grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import math
import time

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_ros.errors import ConfigurationError

#: Names the executor of every node in the environment; '' or nothing is the first.
VARIABLE = 'VLA_ROS_EXECUTOR'
AUTO, SINGLE, EVENTS = CHOICES = ('auto', 'single', 'events')

#: How long a call of ``spin_once`` waits; a context that ends wakes it.
_WAIT_S = 0.25
#: The trial: so many ticks and one task, in so long on a machine that is busy with other things.
_TICKS, _PERIOD_S, _TRIAL_S = 3, 0.01, 2.0
#: The queue is looked at after so many events. It is a flood if there are so many in it and they
#: are not worked off in so long; those that came while a model was loaded for a minute are.
_LOOK_AFTER, _MANY, _FLOOD_S = 100, 300, 0.5


class KeepsTime:
    """
    Base of a node whose timers wait for no message, however many there are.

    Of its own accord no such node is spun by the executor of events, which would also keep them.
    """


def asked_for(environ: Mapping[str, str]) -> str:
    """Return which of ``CHOICES`` the user wants; raises ConfigurationError for another name."""
    name = environ.get(VARIABLE) or AUTO
    if name not in CHOICES:
        raise ConfigurationError(f'{VARIABLE} is {name!r}; valid: {", ".join(CHOICES)}')
    return name


def choose(
    name: str, nodes: Iterable[Node], make_events: Callable[[], Executor] | None = None
) -> Executor:
    """
    Return an executor for ``nodes``, which take turns in one thread; their context is open.

    ``name`` is one of ``CHOICES``. ``make_events`` makes an executor of events, None is what this
    ROS 2 has; if it fails its trial, the usual executor is returned, and who asked for that of
    events is told. Raises ExternalShutdownException if the context ends meanwhile.
    """
    if name == SINGLE or (name == AUTO and any(isinstance(node, KeepsTime) for node in nodes)):
        return _usual()
    why, make = 'this ROS 2 has none', make_events or _events_executor()
    if make is not None:
        why = _fault_of(make)
        if not why:
            return make()
    usual = _usual()
    if name == EVENTS:
        text = f'no events executor ({why}): the single-threaded one spins'
        get_logger('executors').warning(text)
    return usual


def spin(executor: Executor) -> bool:
    """
    Spin until the context ends; raises what a callback raises.

    Returns whether it ended early, in a flood: then ``replace`` the executor and spin again.
    """
    if isinstance(executor, SingleThreadedExecutor):
        executor.spin()
        return False
    queue = _Queue(executor)
    while executor.context.ok() and not queue.is_flooded:
        executor.spin_once(timeout_sec=_WAIT_S)
        queue.look()
    return queue.is_flooded


def replace(executor: Executor, nodes: Iterable[Node]) -> Executor:
    """
    End an executor, with what waits in it, and return the usual one with its ``nodes``.

    Raises as ``choose``.
    """
    usual = _usual()
    get_logger('executors').warning(
        'flooded with messages: from now on the single-threaded executor spins'
    )
    executor.shutdown()
    for node in nodes:
        usual.add_node(node)
    return usual


class _Queue:
    """
    Tells whether an executor of events falls ever more behind.

    Nothing says how long its queue is, but how many events come before a mark put at its end.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._events = 0
        self._is_marked = False
        self._many_since_s = math.inf
        self.is_flooded = False

    def look(self) -> None:
        """Take note that an event was worked off."""
        self._events += 1
        if not self._is_marked:
            if self._events > _LOOK_AFTER:
                self._events, self._is_marked = 0, True
                self._executor.create_task(self._come_up)
        elif self._events > _MANY:
            now_s = time.monotonic()
            self._many_since_s = min(self._many_since_s, now_s)
            self.is_flooded = now_s - self._many_since_s > _FLOOD_S

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
    """Return what is wrong with an executor, '' if it runs timers and tasks."""
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
        executor.create_task(ran.append, 'task')
        deadline_s = time.monotonic() + _TRIAL_S
        while ran.count('tick') < _TICKS or 'task' not in ran:
            if time.monotonic() > deadline_s:
                return 'it does not run timers and tasks'
            executor.spin_once(timeout_sec=_PERIOD_S)
        executor.remove_node(node)
        executor.shutdown()
    except Exception as error:  # whatever an experiment does
        return str(error)
    finally:
        node.destroy_node()
    return ''
