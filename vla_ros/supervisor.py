"""
Runs a node graph as processes in one terminal: starts, restarts, tells, and ends them all.

Nothing outlives it: children end with it even when it is killed, and are killed when they do not
end within seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
import ctypes
from dataclasses import dataclass, field
from importlib.util import find_spec
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TextIO

from vla_ros import bringup, heartbeat
from vla_ros.bringup import NodeSpec
from vla_ros.domain import only_graph
from vla_ros.errors import ConfigurationError, EXIT_CONFIGURATION
from vla_ros.interrupts import signals_noted
from vla_ros.shared_memory import remove_leftovers

#: A node that ends so often in so many seconds stays down.
MAX_EXITS, EXIT_WINDOW_S = 3, 60.0
#: Before the first, second, ... restart.
BACKOFF_S = (0.5, 2.0)
#: From SIGTERM to SIGKILL.
GRACE_S = 3.0

_PR_SET_PDEATHSIG = 1
_COLOURS = (36, 32, 35, 34, 33, 96)
_RED, _YELLOW = 31, 33
_LOG_LINE = re.compile(r'(DEBUG|INFO|WARN|ERROR|FATAL) (.*)')

Clock = Callable[[], float]


class Log:
    """One terminal for many nodes: ``name | message``, in colours on a terminal."""

    def __init__(self, names: Sequence[str], out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._width = max(map(len, names), default=0)
        self._colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
        self._coloured = self._out.isatty() and 'NO_COLOR' not in os.environ
        self._lock = threading.Lock()

    def write(self, name: str, text: str, severity: str = 'INFO') -> None:
        """Write one line; severities other than INFO are named."""
        shown = text if severity == 'INFO' else f'{severity}: {text}'
        if severity in ('ERROR', 'FATAL'):
            shown = self._paint(shown, _RED)
        elif severity == 'WARN':
            shown = self._paint(shown, _YELLOW)
        prefix = self._paint(name.ljust(self._width), self._colours.get(name, 0))
        with (
            self._lock,
            suppress(OSError, ValueError),
        ):  # nobody reads any more, or the disk is full
            self._out.write(f'{prefix} | {shown}\n')
            self._out.flush()

    def _paint(self, text: str, colour: int) -> str:
        return f'\x1b[{colour}m{text}\x1b[0m' if self._coloured and colour else text


@dataclass
class _Child:
    """One node and its present process, if any."""

    spec: NodeSpec
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None
    exits: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_EXITS))
    restart_at: float | None = None
    last_error: str = ''
    heart: heartbeat.Listener | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """
    A running graph; call ``poll`` a few times a second from the thread that entered it.

    Used as a context manager: entering starts every node, leaving ends them all. ``environment``
    is added to this process's own.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        environment: Mapping[str, str] | None = None,
        log: Log | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._children = [_Child(spec) for spec in specs]
        self.log = log or Log([spec.name for spec in specs])
        self._clock = clock
        self._environment = {
            **os.environ,
            'RCUTILS_CONSOLE_OUTPUT_FORMAT': '{severity} {message}',
            'RCUTILS_COLORIZED_OUTPUT': '0',
            'PYTHONUNBUFFERED': '1',
            **(environment or {}),
        }

    def __enter__(self) -> Supervisor:
        remove_leftovers()
        try:
            for child in self._children:
                self._start(child)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def down(self) -> list[str]:
        """Return the nodes that are not running."""
        return [child.spec.name for child in self._children if not child.is_running]

    def poll(self) -> None:
        """
        Notice what ended or hangs, and restart it when due.

        Raises ConfigurationError with a node's own words when it ended for a user's mistake.
        """
        now = self._clock()
        for child in self._children:
            if child.process is not None and not child.is_running:
                self._on_exit(child, now)
            elif child.process is not None:
                self._end_if_hung(child, now)
            elif child.restart_at is not None and now >= child.restart_at:
                self._start(child)

    def run(self, until: Callable[[], bool] = lambda: False, period_s: float = 0.1) -> None:
        """Poll until ``until`` returns True or nothing is left to run."""
        while not until() and any(c.is_running or c.restart_at for c in self._children):
            self.poll()
            time.sleep(period_s)

    def stop(self) -> None:
        """
        End every node: SIGTERM, and SIGKILL after ``GRACE_S`` or at one more Ctrl-C.

        However many signals come meanwhile, it goes on to its end.
        """
        with signals_noted() as noted:
            for child in self._children:
                child.restart_at = None
                _send(child, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_S
            while any(c.is_running for c in self._children) and time.monotonic() < deadline:
                if noted:
                    break
                time.sleep(0.02)
            killed = [child.spec.name for child in self._children if child.is_running]
            for child in self._children:
                self._bury(child)
            for name in killed:
                self.log.write(name, 'killed: it did not end by itself', 'WARN')
            remove_leftovers()

    def _start(self, child: _Child) -> None:
        spec, parent = child.spec, os.getpid()
        child.restart_at, child.last_error = None, ''
        child.heart = heartbeat.Listener()
        descriptor = child.heart.descriptor
        child.process = subprocess.Popen(
            [sys.executable, '-m', spec.module, *spec.ros_arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            env={**self._environment, heartbeat.VARIABLE: str(descriptor)},
            pass_fds=(descriptor,),
            # Its own session: Ctrl-C in the terminal reaches this process alone.
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
        child.heart.release()
        child.reader = threading.Thread(target=self._forward, args=(child,), daemon=True)
        child.reader.start()

    def _forward(self, child: _Child) -> None:
        process = child.process
        assert process is not None
        assert process.stdout is not None
        severity = 'INFO'
        with process.stdout:
            for line in process.stdout:
                # Lines without a severity, as in a traceback, belong to the one before.
                match = _LOG_LINE.fullmatch(line.rstrip('\n'))
                severity, text = match.groups() if match else (severity, line.rstrip('\n'))
                if severity in ('ERROR', 'FATAL'):
                    child.last_error = text
                self.log.write(child.spec.name, text, severity)

    def _end_if_hung(self, child: _Child, now: float) -> None:
        """End a node that does not spin any more; it is restarted as any that ends."""
        if child.heart is not None and child.heart.silence_s(now) > heartbeat.HANG_S:
            text = f'hangs: no sign of life for {heartbeat.HANG_S:.0f} s'
            self.log.write(child.spec.name, text, 'ERROR')
            _send(child, signal.SIGKILL)

    def _bury(self, child: _Child) -> None:
        """End what is left of a process, and everything that belonged to it."""
        _send(child, signal.SIGKILL)  # also what it may have started itself
        if child.process is not None:
            child.process.wait()
        if child.reader is not None:
            child.reader.join(timeout=1.0)
        if child.heart is not None:
            child.heart.close()
        child.process = child.reader = child.heart = None

    def _on_exit(self, child: _Child, now: float) -> None:
        assert child.process is not None
        code = child.process.returncode
        self._bury(child)
        remove_leftovers()
        if code == EXIT_CONFIGURATION:
            raise ConfigurationError(child.last_error or f'{child.spec.name} ended, see above')
        child.exits.append(now)
        ended = f'ended ({_reason(code)})'
        recent = [t for t in child.exits if now - t <= EXIT_WINDOW_S]
        if not child.spec.respawn:
            self.log.write(child.spec.name, ended, 'WARN')
        elif len(recent) >= MAX_EXITS:
            self.log.write(
                child.spec.name,
                f'{ended}, {len(recent)} times in {EXIT_WINDOW_S:.0f} s: it stays down',
                'ERROR',
            )
        else:
            wait_s = BACKOFF_S[min(len(recent), len(BACKOFF_S)) - 1]
            child.restart_at = now + wait_s
            self.log.write(child.spec.name, f'{ended}; restarting it in {wait_s:g} s', 'WARN')


@contextmanager
def running(
    graph: str, options: bringup.Options, reporter: str = 'vla-ros'
) -> Iterator[Supervisor]:
    """
    Run ``graph`` (a key of ``bringup.GRAPHS``), the only one of its domain and namespace.

    ``reporter`` is the name under which the caller writes to the log. The nodes' environment
    becomes this process's own too, for it takes part in the graph. Raises ConfigurationError and,
    without rclpy, ModuleNotFoundError here and not in every node.
    """
    if find_spec('rclpy') is None:
        raise ModuleNotFoundError('no rclpy', name='rclpy')
    specs = bringup.GRAPHS[graph](options)
    os.environ.update(bringup.environment(graph, os.environ))
    log = Log([*(spec.name for spec in specs), reporter])
    if exposed := bringup.exposure(graph, os.environ):
        log.write(reporter, exposed, 'WARN')
    with only_graph(options.namespace), Supervisor(specs, log=log) as supervisor:
        yield supervisor


def _die_with(parent: int) -> None:
    """In a new child: be killed when the parent ends, however it ends (Linux)."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'prctl'):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended meanwhile
        os.kill(os.getpid(), signal.SIGKILL)


def _send(child: _Child, number: signal.Signals) -> None:
    """Send a signal to a node's process and whatever that started."""
    if child.process is None:
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def _reason(code: int) -> str:
    if code >= 0:
        return f'exit code {code}'
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f'signal {-code}'
