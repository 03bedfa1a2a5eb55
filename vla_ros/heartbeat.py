"""
Signs of life from a node to the supervisor that started it: bytes in a pipe.

A process that hangs or was stopped neither ends nor complains; only its silence can be noticed.
"""

from __future__ import annotations

from contextlib import suppress
import os

#: Names the file descriptor that a node writes to; without it nobody listens.
VARIABLE = 'VLA_ROS_HEARTBEAT_FD'
PERIOD_S = 1.0
#: A node that has beaten once and is then silent for so long hangs.
HANG_S = 15.0

_BEAT, _PAUSE = b'.', b'-'


def beat() -> None:
    """Tell that this process is alive."""
    _write(_BEAT)


def pause() -> None:
    """Ask for patience until the next beat: what follows, such as loading, may take long."""
    _write(_PAUSE)


def _write(sign: bytes) -> None:
    descriptor = os.environ.get(VARIABLE, '')
    if descriptor.isdigit():
        with suppress(OSError):  # nobody listens any more, or the listener sleeps
            os.write(int(descriptor), sign)


class Listener:
    """The supervisor's end; give ``descriptor`` to the child, then call ``release``."""

    def __init__(self) -> None:
        self._read, self.descriptor = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.descriptor, False)
        self._last_s: float | None = None

    def release(self) -> None:
        """Close this process's copy of the child's end."""
        os.close(self.descriptor)

    def close(self) -> None:
        os.close(self._read)

    def silence_s(self, now_s: float) -> float:
        """Return how long the child has been silent; 0 before its first beat and in a pause."""
        with suppress(BlockingIOError):
            while signs := os.read(self._read, 4096):
                self._last_s = now_s if signs.endswith(_BEAT) else None
        return 0.0 if self._last_s is None else now_s - self._last_s
