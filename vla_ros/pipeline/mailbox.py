"""A worker that always works on the newest items: what it cannot keep up with is dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import threading
import time
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """
    A slot for each sender, between threads; ``take`` returns those that have waited longest.

    A newer item replaces the older of its sender and keeps its turn: who sends more is served
    neither earlier nor more often. ``dropped`` counts what was replaced, by sender.
    """

    def __init__(self, at_most: int = 1) -> None:
        self.dropped: Counter[str] = Counter()
        self._at_most = at_most
        self._items: dict[str, T] = {}  # in the order of their turns
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: T, sender: str = '') -> None:
        """Replace what is in the sender's slot."""
        with self._changed:
            self.dropped[sender] += sender in self._items
            self._items[sender] = item
            self._changed.notify()

    def take(self) -> list[T] | None:
        """Wait for an item and empty its slot, or several; return None once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._items)
            if self._is_closed:
                return None
            return [self._items.pop(sender) for sender in list(self._items)[: self._at_most]]

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class Worker(Generic[T]):
    """
    One thread that calls ``work`` with the newest items put, ``at_most`` so many at once.

    An exception of ``work`` goes to ``on_error``, and the next items are worked on.
    """

    def __init__(
        self,
        work: Callable[[list[T]], None],
        on_error: Callable[[Exception], None],
        name: str,
        at_most: int = 1,
    ) -> None:
        self.mailbox: Mailbox[T] = Mailbox(at_most)
        self._work = work
        self._on_error = on_error
        self._since_s: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def busy_s(self) -> float:
        """Return how long the items in work have been in work; 0 if none is."""
        since_s = self._since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def stop(self, timeout_s: float) -> bool:
        """End the thread after the items in work; return False if that takes longer."""
        self.mailbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (items := self.mailbox.take()) is not None:
            self._since_s = time.monotonic()
            try:
                self._work(items)
            except Exception as error:
                self._on_error(error)
            finally:
                self._since_s = None
