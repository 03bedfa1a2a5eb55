"""
Topics inside one process: a message goes from publisher to subscriber by reference.

Whoever runs several nodes in one process calls ``open_for`` before making them; ``wiring`` then
joins the topics that are marked for it here. The middleware still gets what is published while
somebody in another process subscribes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node, PublisherEventCallbacks
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

#: For each context that is open: the inboxes of each topic, by its full name.
_OPEN: WeakKeyDictionary[Context, defaultdict[str, list[Inbox]]] = WeakKeyDictionary()


def open_for(context: Context) -> None:
    """Join the nodes that will be made in ``context``."""
    _OPEN[context] = defaultdict(list)


def is_open(node: Node) -> bool:
    return node.context in _OPEN


class Inbox:
    """
    A subscription to publishers of this process: one slot, in which the newest message wins.

    ``callback`` runs in the executor of ``node``, as that of any subscription. The message is
    shared with others, so nobody may change it.
    """

    def __init__(self, node: Node, topic: str, callback: Callable[[Any], None]) -> None:
        self._node = node
        self._callback = callback
        self._slot: deque[Any] = deque(maxlen=1)
        self._others = _OPEN[node.context][node.resolve_topic_name(topic)]
        self._others.append(self)

    def put(self, message: Any) -> None:
        """Replace what is in the slot, from any thread."""
        self._slot.append(message)
        if (executor := self._node.executor) is not None:  # else it does not spin yet
            executor.create_task(self._deliver)

    def close(self) -> None:
        self._others.remove(self)
        self._slot.clear()

    def _deliver(self) -> None:
        try:
            if self._slot:  # only here is anything taken out
                self._callback(self._slot.popleft())
        except Exception as error:
            # The events executor does not survive an exception of a task to tell of it.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._node.create_timer(0.0, partial(_raise, error), clock=steady)


def _raise(error: Exception) -> None:
    raise error


class LocalPublisher(Publisher):
    """Hands messages over in this process; the rest of the graph gets them if it listens."""

    inboxes: list[Inbox]

    def publish(self, msg: Any) -> None:
        for inbox in tuple(self.inboxes):
            inbox.put(msg)
        if self.get_subscription_count() > 0:
            super().publish(msg)


def create_publisher(
    node: Node, message: type, topic: str, qos: QoSProfile, events: PublisherEventCallbacks
) -> LocalPublisher:
    """Return a publisher of ``node`` that knows the inboxes of this process."""
    made = node.create_publisher(
        message, topic, qos, event_callbacks=events, publisher_class=LocalPublisher
    )
    publisher = cast(LocalPublisher, made)
    publisher.inboxes = _OPEN[node.context][node.resolve_topic_name(topic)]
    return publisher
