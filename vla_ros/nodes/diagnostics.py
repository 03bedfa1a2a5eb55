"""What every node tells about its health, once a second, on /diagnostics."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import math
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from vla_ros.nodes.wiring import DIAGNOSTICS

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR

PERIOD_S = 1.0


@dataclass(frozen=True)
class Health:
    """One report: ``level`` OK, WARN or ERROR, a sentence, and named values."""

    level: bytes
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


def report_health(node: Node, check: Callable[[], Health]) -> None:
    """Publish ``check()`` every ``PERIOD_S`` of real time, whatever the ROS clock does."""
    publisher = DIAGNOSTICS.publisher(node)

    def publish() -> None:
        health = check()
        status = DiagnosticStatus(
            level=health.level,
            name=node.get_fully_qualified_name(),
            hardware_id='vla_ros',
            message=health.message,
            values=[KeyValue(key=k, value=_text(v)) for k, v in health.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    node.create_timer(PERIOD_S, publish, clock=Clock(clock_type=ClockType.STEADY_TIME))


def _text(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


class Faults(Counter[str]):
    """Counts unusable messages by what is wrong with them."""

    def __init__(self) -> None:
        super().__init__()
        self._told = 0

    def have_grown(self) -> bool:
        """Return whether there are more than at the last call: one of long ago is no warning."""
        before, self._told = self._told, self.total()
        return self._told > before


class Stream:
    """Counts the messages of a stream and tells its rate and age, in real time."""

    def __init__(self) -> None:
        self.count = 0
        self._started = self._last = self._asked = time.monotonic()
        self._count_asked = 0

    def tick(self) -> None:
        self.count += 1
        self._last = time.monotonic()

    def age_s(self) -> float:
        """Return the time since the last message, or since the start if there was none."""
        return time.monotonic() - self._last

    def rate_hz(self) -> float:
        """Return the mean rate since the last call."""
        now = time.monotonic()
        rate = (self.count - self._count_asked) / max(now - self._asked, 1e-6)
        self._asked, self._count_asked = now, self.count
        return rate


class Durations:
    """Percentiles over the newest durations."""

    def __init__(self, window: int = 200) -> None:
        self._newest_s: deque[float] = deque(maxlen=window)

    def add(self, duration_s: float) -> None:
        self._newest_s.append(duration_s)

    def values(self, name: str) -> dict[str, object]:
        """Return p50, p95 and p99 in milliseconds, under ``name``; NaN before the first."""
        newest = list(self._newest_s) or [math.nan]
        percentiles = np.percentile(newest, (50, 95, 99)) * 1e3
        return {
            f'{name}_p{p}_ms': float(v) for p, v in zip((50, 95, 99), percentiles, strict=True)
        }
