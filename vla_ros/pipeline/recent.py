"""The newest few of a stream, to be found by their time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar('T')


class Recent(Generic[T]):
    """Keeps the ``kept`` values that were added last."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._values: OrderedDict[int, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def add(self, stamp_ns: int, value: T) -> None:
        self._values[stamp_ns] = value
        self._values.move_to_end(stamp_ns)
        while len(self._values) > self._kept:
            self._values.popitem(last=False)

    def get(self, stamp_ns: int) -> T | None:
        """Return the value of exactly this time."""
        return self._values.get(stamp_ns)

    def nearest(self, stamp_ns: int, within_ns: int) -> T | None:
        """Return the value whose time is nearest, if it is no farther than ``within_ns``."""
        if not self._values:
            return None
        nearest_ns = min(self._values, key=lambda stamp: abs(stamp - stamp_ns))
        return self._values[nearest_ns] if abs(nearest_ns - stamp_ns) <= within_ns else None
