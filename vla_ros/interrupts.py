"""The signals that end a process, and how not to be interrupted by them for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import signal
import threading

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Collect the signals that would interrupt, instead of being interrupted."""
    noted: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()  # others get no signals
    before = {n: signal.getsignal(n) for n in ENDING_SIGNALS if is_main}
    before = {n: handler for n, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """
    Hold back the signals that would interrupt until the block has ended, then let the first in.

    For calls into C++, which may turn a KeyboardInterrupt into an error of their own.
    """
    with signals_noted() as noted:
        yield
    if noted:
        signal.raise_signal(noted[0])
