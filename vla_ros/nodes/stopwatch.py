"""How long a command takes to become a chunk, as a user of the graph sees it."""

from __future__ import annotations

import time

from sensor_msgs.msg import Image
from trajectory_msgs.msg import JointTrajectory

from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.nodes.conversions import chunk_from_message, to_ns


class Stopwatch:
    """Gives commands and times them; the graph runs on the time of the system."""

    def __init__(self, user: Client) -> None:
        self._user = user
        self._command_ns = self._chunk_of_ns = 0
        self._heard_s = self._latency_s = 0.0
        user.watch(wiring.COMMAND_EMBEDDING, self._on_features)
        user.watch(wiring.ACTION_CHUNK, self._on_chunk)

    def _on_features(self, message: Image) -> None:
        self._command_ns, self._heard_s = to_ns(message.header.stamp), time.monotonic()

    def _on_chunk(self, message: JointTrajectory) -> None:
        chunk = chunk_from_message(message)
        if chunk.command_stamp_ns != self._chunk_of_ns:
            self._chunk_of_ns = chunk.command_stamp_ns
            self._latency_s = (time.time_ns() - chunk.stamp_ns) * 1e-9

    def cost_ms(self, text: str, timeout_s: float) -> float:
        """
        Return the time from ``text`` to its features, and from an image to its first chunk, ms.

        Raises TimeoutError if there is no chunk for it.
        """
        before_ns, said_s = self._command_ns, time.monotonic()
        self._user.publish(text)
        is_answered = self._user.wait(lambda: self._is_answered(before_ns), timeout_s)
        if not is_answered:
            raise TimeoutError(f'no chunk for {text!r} in {timeout_s:.0f} s')
        return (self._heard_s - said_s + self._latency_s) * 1e3

    def _is_answered(self, before_ns: int) -> bool:
        # A chunk may come before the features that it is for: both are on their way.
        return self._command_ns != before_ns and self._chunk_of_ns == self._command_ns
