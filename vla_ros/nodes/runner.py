"""One main for every node: start, spin, end cleanly, and tell a user's mistake from a bug."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import ctypes
import signal

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers

from vla_ros import heartbeat
from vla_ros.errors import ConfigurationError

#: What rclpy raises for a parameter of its own, such as use_sim_time, of another type.
_BAD_PARAMETER = (InvalidParameterTypeException, InvalidParameterValueException)

#: Exit code after a user's mistake, which a restart would only repeat.
EXIT_CONFIGURATION = 2

# malloc.h of glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# The largest threshold that every glibc accepts. Larger blocks are mapped and cleared each time.
_LARGEST_REUSED_BLOCK = 32 * 2**20


def keep_freed_memory() -> None:
    """Let glibc reuse image-sized buffers, which halves the CPU time per received image."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED_BLOCK)
    mallopt(_M_TRIM_THRESHOLD, 4 * _LARGEST_REUSED_BLOCK)


def _missing(error: ModuleNotFoundError) -> str:
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


def run(node_class: type[Node], args: Sequence[str] | None = None) -> int:
    """
    Spin a node until SIGINT or SIGTERM; return the process's exit code.

    0 after a signal, ``EXIT_CONFIGURATION`` after one line about a user's mistake. A bug keeps its
    traceback.
    """
    keep_freed_memory()
    # rclpy shuts the context down at both signals, and spin ends. Python's own reaction, which
    # rclpy puts back at the end, would break into the cleaning up when a signal comes twice (a
    # terminal and a launcher both send one).
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        rclpy.init(args=args)
    except RuntimeError as error:  # rcl, which puts its own source lines behind the reason
        get_logger(node_class.__name__).fatal(
            f'{str(error).partition(", at ")[0]}; check the arguments after --ros-args, the '
            'files they name, and ROS_DOMAIN_ID'
        )
        return EXIT_CONFIGURATION
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = node_class()
        node.create_timer(
            heartbeat.PERIOD_S, heartbeat.beat, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        executor.add_node(node)
        executor.spin()
    except (ConfigurationError, *_BAD_PARAMETER) as error:
        get_logger(node_class.__name__).fatal(str(error))
        return EXIT_CONFIGURATION
    except ModuleNotFoundError as error:
        if (error.name or '').startswith('vla_ros'):
            raise
        get_logger(node_class.__name__).fatal(_missing(error))
        return EXIT_CONFIGURATION
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        # A callback that publishes after the signal finds the context gone: part of the end.
        if rclpy.ok():
            raise
    finally:
        uninstall_signal_handlers()
        if node is not None:
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
    return 0
