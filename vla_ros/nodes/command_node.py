"""
Typed commands to what the policy reads: normalised, and encoded once.

Subscribes: natural_language_command
Publishes: vla/command_embedding (latched), /diagnostics
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import String

from vla_ros.interfaces import EncodedCommand, TextEncoder
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import command_to_message
from vla_ros.nodes.diagnostics import Durations, Health, OK, report_health
from vla_ros.nodes.params import CommandParams, declare
from vla_ros.nodes.runner import run
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.command import CommandError, is_stop, normalise, printable
from vla_ros.pipeline.session import is_from_the_future

NO_TOKENS = np.zeros((0, 0), dtype=np.float32)


class CommandNode(Node):
    """``encoder``: used instead of the exported text encoder."""

    def __init__(self, encoder: TextEncoder | None = None, **options: Any) -> None:
        super().__init__('command', **options)
        self._params = declare(self, CommandParams)
        self._encoder = encoder or self._load_encoder()
        self._newest = EncodedCommand(text='', stamp_ns=0, tokens=NO_TOKENS)
        self._received = 0
        self._rejected: Counter[str] = Counter()
        self._encoding = Durations()
        self._embedding = wiring.COMMAND_EMBEDDING.publisher(self)
        wiring.COMMAND.subscription(self, self._on_command)
        report_health(self, self._health)
        self.get_logger().info(f'listening on {self.resolve_topic_name(wiring.COMMAND.name)}')

    def _load_encoder(self) -> TextEncoder:
        self.get_logger().info('loading the text encoder; the first start makes it, in seconds')
        # Imports torch, which only this method needs.
        from vla_ros.pipeline.text_encoder import text_encoder_of

        path = self._params.policy_path or shipped_policy_path()
        return text_encoder_of(path, self._params.cache_dir, self._params.num_threads)

    def _on_command(self, message: String) -> None:
        # The moment of asking: a stop that comes while this is being encoded is newer.
        now_ns = self.get_clock().now().nanoseconds
        self._received += 1
        text, tokens = '', NO_TOKENS
        pieces: tuple[str, ...] = ()
        try:
            if not is_stop(message.data):
                text = normalise(message.data, self._params.max_bytes)
                tokens, pieces = self._encode(text), self._encoder.pieces(text)
            self.get_logger().info(f'command: {printable(text)}' if text else 'command: hold')
        except CommandError as error:
            self._rejected[error.reason] += 1
            text, tokens, pieces = '', NO_TOKENS, ()
            self.get_logger().warning(
                f'rejected, holding ({error.reason}): {error}', throttle_duration_sec=1.0
            )
        stamp_ns = _stamp_after(self._newest.stamp_ns, now_ns)
        self._newest = EncodedCommand(text, stamp_ns, tokens, pieces)
        self._embedding.publish(command_to_message(self._newest))

    def _encode(self, text: str) -> NDArray[np.float32]:
        if text == self._newest.text:
            return self._newest.tokens
        started_s = time.monotonic()
        tokens = self._encoder.encode(text)
        self._encoding.add(time.monotonic() - started_s)
        return tokens

    def _health(self) -> Health:
        values = {
            'command': printable(self._newest.text),
            'received': self._received,
            **self._encoding.values('encoding'),
            **{f'rejected_{reason}': n for reason, n in sorted(self._rejected.items())},
        }
        return Health(OK, 'ok', values)


def _stamp_after(last_ns: int, now_ns: int) -> int:
    """Return the stamp of a command given now: each is one of its own, whatever its text."""
    # After the clock jumped back, the next to the last would be refused as from the future.
    return now_ns if is_from_the_future(last_ns, now_ns) else max(now_ns, last_ns + 1)


def main(args: Sequence[str] | None = None) -> int:
    return run(CommandNode, args)


if __name__ == '__main__':
    sys.exit(main())
