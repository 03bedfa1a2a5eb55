"""
What spins the nodes of a process: the usual executor, or if asked that of events, where it works.

The events executor takes less than a third of the processor time for a small message. It is
experimental: in some builds its ``spin`` burns a core and runs nothing while ``spin_once`` works,
some ROS 2 have none, and no guard condition may belong to its nodes. So it is tried before it is
relied on. It keeps every event in a queue, so more messages than can be worked off delay timers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time

from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_ros.errors import ConfigurationError

#: Names the executor in the environment; nothing or '' is the first.
VARIABLE = 'VLA_ROS_EXECUTOR'
SINGLE, EVENTS = CHOICES = ('single', 'events')

#: How long a call of ``spin_once`` waits; a context that ends wakes it.
_WAIT_S = 0.25
#: The trial: so many ticks and one task, in so long on a machine that is busy with other things.
_TICKS, _PERIOD_S, _TRIAL_S = 3, 0.01, 2.0


def choose(
    environ: Mapping[str, str], make_events: Callable[[], Executor] | None = None
) -> Callable[[], Executor]:
    """
    Return what makes the executors of this process, whose context is open.

    ``make_events`` is tried, None is that of this ROS 2, and if it fails the usual one is
    returned. Raises ConfigurationError for a name that
    is none of ``CHOICES``.
    """
    name = environ.get(VARIABLE) or SINGLE
    if name not in CHOICES:
        raise ConfigurationError(f'{VARIABLE} is {name!r}; valid: {", ".join(CHOICES)}')
    if name == SINGLE:
        return SingleThreadedExecutor
    why, make = 'this ROS 2 has none', make_events or _events_executor()
    if make is not None:
        why = _fault_of(make)
        if not why:
            return make
    get_logger('executors').warning(f'no events executor ({why}): the single-threaded one spins')
    return SingleThreadedExecutor


def spin(executor: Executor) -> None:
    """Spin until the context ends; raises what a callback raises."""
    if isinstance(executor, SingleThreadedExecutor):
        executor.spin()
        return
    while executor.context.ok():
        executor.spin_once(timeout_sec=_WAIT_S)


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
