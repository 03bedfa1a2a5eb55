"""Second publishers: who else, by mistake or not, publishes what moves the robot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import time

from rclpy.node import Node

from vla_ros.nodes import wiring

#: What the pose node watches: with two publishers, two nodes drive the robot at once.
WATCHED = (
    wiring.ROBOT_ACTION,
    wiring.GRIPPER_ACTION,
    wiring.ROBOT_POSE,
    wiring.COMMAND_EMBEDDING,
    wiring.ACTION_CHUNK,
)
#: For so long a killed process is still listed: Fast DDS drops it after a lease of 20 s.
LEASE_S = 25.0
#: What the middleware says before it knows the node behind a publisher.
_UNKNOWN = '_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_'


class Rivals:
    """
    Says which watched topic has a second publisher.

    Nodes of two names are two at once. Two of the same name may be one that was killed and
    started anew: they are two when the first has not gone after the lease.
    """

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def judge(self, publishers: Mapping[str, Iterable[str]], now_s: float) -> str:
        """
        Return '' or the topic and its publishers.

        ``publishers`` are the full names of the nodes behind each topic, ``now_s`` is steady.
        """
        for topic, found in publishers.items():
            names = sorted(found)
            if len(names) < 2:
                self._since_s.pop(topic, None)
                continue
            since_s = self._since_s.setdefault(topic, now_s)
            if len({*names} - {_UNKNOWN}) > 1 or now_s - since_s > LEASE_S:
                return f'{topic} has {len(names)} publishers: {", ".join(names)}'
        return ''


def publishers_of(node: Node, topic: wiring.Topic) -> list[str]:
    """Return the full name of the node behind each publisher of ``topic``."""
    name = node.resolve_topic_name(topic.name)
    return [
        f'{info.node_namespace.rstrip("/")}/{info.node_name}'
        for info in node.get_publishers_info_by_topic(name)
    ]


def find_rival(node: Node, rivals: Rivals, topics: Iterable[wiring.Topic] = WATCHED) -> str:
    """Return '' or which of the topics has a second publisher now."""
    found = {node.resolve_topic_name(topic.name): publishers_of(node, topic) for topic in topics}
    return rivals.judge(found, time.monotonic())
