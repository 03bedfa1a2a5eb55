"""
A rosbag2 in MCAP, written without a ROS installation.

Messages are kept as the bytes that came over the wire: nothing is decoded, nothing can be lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import get_typestore, Stores

from vla_ros.errors import ConfigurationError

#: Of the metadata; the newest that every ROS 2 since Iron reads.
VERSION: Final = 8
_FOREVER = QosTime(0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Stream:
    """A topic by its full name, its type as in ``std_msgs/msg/String``, and how it is offered."""

    topic: str
    type: str
    is_reliable: bool = True
    is_latched: bool = False
    depth: int = 1


class BagWriter:
    """Writes while it is entered as a context manager; ``counts`` are messages by topic."""

    def __init__(self, folder: Path) -> None:
        """Raise ConfigurationError if there is something already."""
        try:
            self._writer = Writer(folder, version=VERSION, storage_plugin=StoragePlugin.MCAP)
        except WriterError as error:
            raise ConfigurationError(
                f'{folder} exists already: choose another folder with --out'
            ) from error
        self._types = get_typestore(Stores.LATEST)
        self._connections: dict[str, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.size_bytes = 0

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, stream: Stream, received_ns: int, data: bytes) -> None:
        """Add a serialised message (CDR) that was received at ``received_ns``."""
        if stream.topic not in self._connections:
            self._connections[stream.topic] = self._writer.add_connection(
                stream.topic,
                stream.type,
                typestore=self._types,
                offered_qos_profiles=[_qos(stream)],
            )
        self._writer.write(self._connections[stream.topic], received_ns, data)
        self.counts[stream.topic] += 1
        self.size_bytes += len(data)


def _qos(stream: Stream) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=stream.depth,
        reliability=(
            QosReliability.RELIABLE if stream.is_reliable else QosReliability.BEST_EFFORT
        ),
        durability=(
            QosDurability.TRANSIENT_LOCAL if stream.is_latched else QosDurability.VOLATILE
        ),
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
