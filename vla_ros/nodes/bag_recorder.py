"""
A recording of the running graph.

Subscribes: every topic of ``wiring``, but to vla/attention_image and vla/saliency only if asked
for, and to one of camera/image_raw and camera/image_raw/compressed
"""

from __future__ import annotations

import time

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from vla_ros.bag.writer import BagWriter, Stream
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client


class BagRecorder:
    """
    Writes what ``user`` hears while it waits, but nothing that would be made for it alone.

    With ``overlay`` the heat map pictures are recorded too, with ``saliency`` the gradients, and
    the camera's frames as it encodes them if they are ``compressed``, else the raw ones.
    """

    def __init__(
        self,
        user: Client,
        writer: BagWriter,
        overlay: bool = False,
        saliency: bool = False,
        compressed: bool = False,
    ) -> None:
        self._writer = writer
        self._streams: list[Stream] = []
        optional = (
            (wiring.ATTENTION_IMAGE, overlay),
            (wiring.SALIENCY, saliency),
            (wiring.IMAGE_COMPRESSED, compressed),
            (wiring.IMAGE_RAW, not compressed),
        )
        left_out = [topic for topic, is_wanted in optional if not is_wanted]
        for topic in wiring.TOPICS:
            if topic not in left_out:
                self._record(user, topic)

    def _record(self, user: Client, topic: wiring.Topic) -> None:
        stream = stream_of(topic, user.namespace)
        self._streams.append(stream)

        def keep(data: bytes) -> None:
            self._writer.write(stream, time.time_ns(), data)

        user.watch(topic, keep, raw=True)

    @property
    def silent(self) -> list[str]:
        """Return the topics of which nothing was heard so far."""
        return [s.topic for s in self._streams if s.topic not in self._writer.counts]


def stream_of(topic: wiring.Topic, namespace: str) -> Stream:
    """Return the topic as a bag names it: by its own name, also where it is remapped."""
    package = topic.type.__module__.partition('.')[0]
    is_absolute = topic.name.startswith('/')
    return Stream(
        topic=topic.name if is_absolute else f'{namespace.rstrip("/")}/{topic.name}',
        type=f'{package}/msg/{topic.type.__name__}',
        is_reliable=topic.qos.reliability == ReliabilityPolicy.RELIABLE,
        is_latched=topic.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        depth=topic.qos.depth,
    )
