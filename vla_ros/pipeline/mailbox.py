"""A worker that always works on the newest item: what it cannot keep up with is dropped."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """One slot between threads; ``dropped`` counts the items that were overwritten."""

    def __init__(self) -> None:
        self.dropped = 0
        self._item: T | None = None
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Replace what is in the slot."""
        with self._changed:
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self) -> T | None:
        """Wait for the newest item and empty the slot; return None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._item is not None)
            if self._is_closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Worker(Generic[T]):
    """
    One thread that calls ``work`` with the newest item put.

    An exception of ``work`` goes to ``on_error``, and the next item is worked on.
    """

    def __init__(
        self, work: Callable[[T], None], on_error: Callable[[Exception], None], name: str
    ) -> None:
        self.mailbox: Mailbox[T] = Mailbox()
        self._work = work
        self._on_error = on_error
        self._since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def busy_s(self) -> float:
        """Return how long the item in work has been in work; 0 if none is."""
        since_s = self._since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def stop(self, timeout_s: float) -> bool:
        """End the thread after the item in work; return False if that takes longer."""
        self.mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self.mailbox.take()) is not None:
            self._since_s = time.monotonic()
            try:
                self._work(item)
            except Exception as error:
                self._on_error(error)
            finally:
                self._since_s = None
