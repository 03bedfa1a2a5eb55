"""
One main for every node: start, spin, end cleanly, and tell a user's mistake from a bug.

``run`` is that of a process with one node, ``run_threads`` of one with several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, ExitStack
from functools import partial
import inspect
import os
import signal
import threading
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from vla_ros import bringup, heartbeat
from vla_ros.errors import ConfigurationError, EXIT_CONFIGURATION, GET_OPENCV
from vla_ros.freed_memory import keep_freed_memory
from vla_ros.nodes import executors, in_process
from vla_ros.nodes.overrides import chosen, overrides
from vla_ros.shared_memory import remove_stale_locks

#: What rclpy raises for a parameter of its own, such as use_sim_time, of another type.
_BAD_PARAMETER = (InvalidParameterTypeException, InvalidParameterValueException)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def prepare_environment() -> None:
    """Set, for a node that was started by its own name, what a whole graph is started with."""
    os.environ.update(bringup.environment('robot', os.environ))


def _prepare_log() -> None:
    """Do what rclpy does at the first line of a log: it takes 25 ms, for which no tick waits."""
    inspect.stack()  # looks at every module that is loaded, and keeps what it found


def _missing(error: ModuleNotFoundError) -> str:
    if error.name == 'cv2':
        return f'{error.name} is missing: install it {GET_OPENCV}'
    return (
        f'{error.name} is missing: activate the environment that "make demo" makes (. '
        '.venv/bin/activate), or install the extras of setup.py with pip'
    )


@contextmanager
def one_line_if_missing(node: str) -> Iterator[None]:
    """End the process with one line when an import in the block finds a package missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or '').startswith('vla_ros'):
            raise
        get_logger(node).fatal(_missing(error))
        raise SystemExit(EXIT_CONFIGURATION) from None


class _Ending:
    """Whether the process is to end: between callbacks, so that none finds its context gone."""

    def __init__(self) -> None:
        self._is_asked_for = False

    def ask_for(self) -> None:
        self._is_asked_for = True  # takes no lock: a signal may come at any time

    def goes_on(self) -> bool:
        return not self._is_asked_for and rclpy.ok()

    @contextmanager
    def at_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end in the block; from then on, ignore them."""
        # A terminal and a launcher both send one: the second must not break into the cleaning up.
        for each in _SIGNALS:
            signal.signal(each, lambda *_: self.ask_for())
        try:
            yield
        finally:
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_IGN)


class _Spinner:
    """Nodes that take turns in one thread; ``beat`` is called once a second from there."""

    def __init__(self, ending: _Ending, beat: Callable[[], None]) -> None:
        self._ending = ending
        self._executor: Executor | None = None
        self._nodes: list[Node] = []
        self._beat = beat
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: Exception | None = None

    def add(self, node: Node) -> None:
        if not self._nodes:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            node.create_timer(heartbeat.PERIOD_S, self._beat, clock=steady)
        self._nodes.append(node)

    def give(self, executor: Executor) -> None:
        """Let all nodes be spun by ``executor``."""
        self._executor = executor
        for node in self._nodes:
            executor.add_node(node)

    def spin(self) -> None:
        """Spin in the caller's thread; raises what a callback raises."""
        assert self._executor is not None
        while executors.spin(self._executor, self._nodes, self._ending.goes_on):
            self._executor = executors.replace(self._executor, self._nodes)

    def start(self) -> None:
        """Spin in a thread; what a callback raises ends the process, and ``close`` raises it."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:
            self._error = error
        finally:
            self._ending.ask_for()

    def close(self) -> None:
        if self._thread.is_alive():
            self._ending.ask_for()
            self._thread.join()
        if self._executor is not None:
            self._executor.shutdown()  # first: that of events touches what its nodes had
        for node in self._nodes:
            node.destroy_node()
        if self._error is not None:
            raise self._error


class Pulse:
    """Beats for the process whenever each of its threads has."""

    def __init__(self, threads: int) -> None:
        self._silent = self._all = frozenset(range(threads))

    def of(self, thread: int) -> Callable[[], None]:
        return lambda: self._heard(thread)

    def _heard(self, thread: int) -> None:
        self._silent -= {thread}
        if not self._silent:
            self._silent = self._all
            heartbeat.beat()


def run(node_class: type[Node], args: Sequence[str] | None = None) -> int:
    """
    Spin a node until SIGINT or SIGTERM; return the process's exit code.

    0 after a signal, ``EXIT_CONFIGURATION`` after one line about a user's mistake. A bug keeps its
    traceback.
    """
    prepare_environment()
    parameters = chosen(args)
    options: dict[str, Any] = {}
    if parameters:
        options['parameter_overrides'] = overrides(parameters)
    return run_threads(node_class.__name__, [[partial(node_class, **options)]], args)


def run_threads(
    name: str, threads: Sequence[Sequence[Callable[[], Node]]], args: Sequence[str] | None = None
) -> int:
    """
    Spin several nodes as ``run`` does one; ``name`` is the process's in its last words.

    ``threads`` has what makes the nodes of each thread; those of one thread never run at the same
    time, and have the executor that they need. Each thread but the last, which is the caller's,
    spins before the next one's nodes are made. What ends one thread ends them all.
    """
    keep_freed_memory()
    _prepare_log()
    remove_stale_locks()  # before this process opens the ports of others
    ending = _Ending()
    with ending.at_signals():
        return _run_threads(name, threads, args, ending)


def _run_threads(
    name: str,
    threads: Sequence[Sequence[Callable[[], Node]]],
    args: Sequence[str] | None,
    ending: _Ending,
) -> int:
    try:
        rclpy.init(
            args=None if args is None else list(args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except RuntimeError as error:  # rcl, which puts its own source lines behind the reason
        get_logger(name).fatal(
            f'{str(error).partition(", at ")[0]}; check the arguments after --ros-args, the '
            'files they name, and ROS_DOMAIN_ID'
        )
        return EXIT_CONFIGURATION
    if sum(map(len, threads)) > 1:
        in_process.open_for(rclpy.get_default_context())
    pulse = Pulse(len(threads))
    with ExitStack() as closing:
        closing.callback(rclpy.try_shutdown)
        try:
            # Tried before nodes are made: from then on others wait for their answers.
            make_executor = executors.choose(executors.asked_for(os.environ))
            spinners = [_Spinner(ending, pulse.of(i)) for i in range(len(threads))]
            for spinner in spinners:
                closing.callback(spinner.close)
            for spinner, makers in zip(spinners, threads, strict=True):
                for make in makers:
                    spinner.add(make())
                spinner.give(make_executor())
                if spinner is not spinners[-1]:
                    spinner.start()
            spinners[-1].spin()
        except (ConfigurationError, *_BAD_PARAMETER) as error:
            get_logger(name).fatal(str(error))
            return EXIT_CONFIGURATION
        except ModuleNotFoundError as error:
            if (error.name or '').startswith('vla_ros'):
                raise
            get_logger(name).fatal(_missing(error))
            return EXIT_CONFIGURATION
        except ExternalShutdownException:
            pass
    return 0
