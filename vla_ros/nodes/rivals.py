"""Second publishers: who else, by mistake or not, publishes what moves the robot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rclpy.node import Node

from vla_ros.nodes import wiring
from vla_ros.nodes.wiring import Topic

#: What the pose node says itself: whoever says it too is alive, and another.
SAID = (wiring.ROBOT_ACTION, wiring.GRIPPER_ACTION)
#: What it watches: with two publishers, two nodes drive the robot at once.
WATCHED = (*SAID, wiring.ROBOT_POSE, wiring.COMMAND_EMBEDDING, wiring.ACTION_CHUNK)
#: For so long a killed process is still listed: Fast DDS drops it after a lease of 20 s.
LEASE_S = 25.0
#: A topic with two publishers is looked at again after so long, and sooner while the middleware
#: does not know yet which node one of them belongs to.
LOOK_PERIOD_S, UNKNOWN_PERIOD_S = 0.2, 0.02
#: What the middleware says before it knows the node behind a publisher.
_UNKNOWN = '_NODE_NAMESPACE_UNKNOWN_/_NODE_NAME_UNKNOWN_'


class Rivals:
    """
    Says which topics have a second publisher.

    Nodes of two names are two at once, and so is one that is not known yet. Two of the same name
    may be one that was killed and started anew: they are two when the first has not gone after
    the lease, or on the topics ``said`` by the node that asks, which is alive.
    """

    def __init__(self, said: Iterable[str] = ()) -> None:
        self._said = frozenset(said)
        self._since_s: dict[str, float] = {}

    def judge(self, publishers: Mapping[str, Iterable[str]], now_s: float) -> dict[str, str]:
        """
        Return the topics with a rival, and what to tell of each.

        ``publishers`` are the full names of the nodes behind each topic, ``now_s`` is steady.
        """
        rivals = {}
        for topic, found in publishers.items():
            names = sorted(found)
            if len(names) < 2:
                self._since_s.pop(topic, None)
                continue
            since_s = self._since_s.setdefault(topic, now_s)
            may_be_one = len({*names}) == 1 and _UNKNOWN not in names and topic not in self._said
            if not may_be_one or now_s - since_s > LEASE_S:
                shown = ('(not known yet)' if name == _UNKNOWN else name for name in names)
                rivals[topic] = f'{topic} has {len(names)} publishers: {", ".join(shown)}'
        return rivals


class Lookout:
    """
    Watches topics of a node for second publishers; ``said`` are those that it publishes itself.

    To count publishers takes a microsecond a topic, so ``look`` may be called in every tick and
    before every message is taken: a publisher is counted before its first message arrives.
    """

    def __init__(self, node: Node, topics: Iterable[Topic], said: Iterable[Topic] = ()) -> None:
        self._node = node
        self._names = [node.resolve_topic_name(topic.name) for topic in topics]
        self._rivals = Rivals(node.resolve_topic_name(topic.name) for topic in said)
        self._found: dict[str, str] = {}
        self._counts: list[int] = []
        self._look_s = 0.0

    def look(self, now_s: float) -> str:
        """Return '' or which topic has a second publisher at the steady time ``now_s``."""
        # Node.count_publishers checks the name anew each time, which takes 200 times as long.
        counts = [self._node.handle.get_count_publishers(name) for name in self._names]
        if counts != self._counts or (max(counts) > 1 and now_s >= self._look_s):
            self._counts = counts
            publishers = {
                name: self._publishers(name) if count > 1 else []
                for name, count in zip(self._names, counts, strict=True)
            }
            self._found = self._rivals.judge(publishers, now_s)
            is_known = all(_UNKNOWN not in names for names in publishers.values())
            self._look_s = now_s + (LOOK_PERIOD_S if is_known else UNKNOWN_PERIOD_S)
        return next(iter(self._found.values()), '')

    def is_contested(self, topic: Topic, now_s: float) -> bool:
        """Return whether ``topic`` has a second publisher at the steady time ``now_s``."""
        self.look(now_s)
        return self._node.resolve_topic_name(topic.name) in self._found

    def _publishers(self, name: str) -> list[str]:
        """Return the full name of the node behind each publisher."""
        return [
            f'{info.node_namespace.rstrip("/")}/{info.node_name}'
            for info in self._node.get_publishers_info_by_topic(name)
        ]
