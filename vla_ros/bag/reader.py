"""What a recording of the graph says about commands, motion and where the policy looked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import get_typestore, Stores

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Array
from vla_ros.pipeline.image import decode_rgb, RawImage

#: The topics that are read, as ``nodes/wiring.py`` names them; a test compares.
STATUS = 'vla/status'
TARGET = 'robot_action'
MEASURED = 'robot_pose'
CHUNK = 'vla/action_chunk'
ATTENTION = 'vla/attention'
COMMAND = 'vla/command_embedding'
IMAGE = 'vla/image'
RAW_IMAGE = 'camera/image_raw'

MAX_IMAGE_BYTES = 64_000_000
_NS = 1_000_000_000
_TYPES = get_typestore(Stores.LATEST)


@dataclass(frozen=True)
class Told:
    """What the pose node told at a time since the start of the bag."""

    time_s: float
    values: Mapping[str, str]


@dataclass(frozen=True)
class Spoken:
    """A command as it was encoded: its identity, and its words in pieces, one a token."""

    stamp_ns: int
    tokens: int
    pieces: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame (h, w, 3) with the attention (n, gh, gw) over it."""

    time_s: float
    stamp_ns: int
    image: NDArray[np.uint8]
    attention: NDArray[np.float32]
    pieces: tuple[str, ...]


@dataclass
class Track:
    """
    A stream of poses: when each was received, since the start of the bag, its stamp, its position.

    Messages are received in bursts: how fast something moves is told by the stamps.
    """

    times_s: list[float] = field(default_factory=list)
    stamps_s: list[float] = field(default_factory=list)
    positions: list[tuple[float, float, float]] = field(default_factory=list)

    def arrays(self) -> tuple[Array, Array, Array]:
        """Return times (n,), stamps (n,) and positions (n, 3); poses not finite are left out."""
        positions = np.reshape(self.positions, (-1, 3))
        usable = np.isfinite(positions).all(axis=1)
        return np.array(self.times_s)[usable], np.array(self.stamps_s)[usable], positions[usable]


@dataclass
class Recording:
    """A bag without its pictures. ``looks``: time and image stamp of each attention."""

    start_ns: int
    duration_s: float
    counts: Mapping[str, int]
    told: list[Told] = field(default_factory=list)
    target: Track = field(default_factory=Track)
    measured: Track = field(default_factory=Track)
    spoken: list[Spoken] = field(default_factory=list)
    looks: list[tuple[float, int]] = field(default_factory=list)
    #: From the stamp of an image to the chunk that came of it.
    inference_s: list[float] = field(default_factory=list)


def read(folder: Path, namespace: str = '') -> Recording:
    """Return what a bag holds; raises ConfigurationError if it is none of this graph."""
    with _opened(folder) as reader:
        names = _named(reader.connections, namespace)
        if STATUS not in names.values():
            raise ConfigurationError(
                f'{folder} has no {STATUS} in namespace {namespace or "/"}; it has '
                f'{", ".join(sorted(c.topic for c in reader.connections)) or "nothing"}'
            )
        recording = Recording(
            start_ns=reader.start_time,
            duration_s=reader.duration / _NS,
            counts={connection.topic: connection.msgcount for connection in reader.connections},
        )
        wanted = [c for c in reader.connections if names.get(c.topic) in _NOTES]
        for connection, received_ns, message in _messages(reader, wanted):
            _NOTES[names[connection.topic]](recording, received_ns, message)
    return recording


def pictures(
    folder: Path, recording: Recording, stamps_ns: Sequence[int], namespace: str = ''
) -> list[Seen]:
    """Return the frames of those image stamps that have an attention, in order of time."""
    wanted = set(stamps_ns)
    images: dict[int, Any] = {}
    attentions: dict[int, tuple[float, Any]] = {}
    with _opened(folder) as reader:
        names = _named(reader.connections, namespace)
        chosen = [
            c for c in reader.connections if names.get(c.topic) in (IMAGE, RAW_IMAGE, ATTENTION)
        ]
        for connection, received_ns, message in _messages(reader, chosen):
            stamp_ns = _stamp_ns(message)
            if stamp_ns not in wanted:
                continue
            if names[connection.topic] == ATTENTION:
                attentions[stamp_ns] = (received_ns - recording.start_ns) / _NS, message
            elif names[connection.topic] == RAW_IMAGE or stamp_ns not in images:
                images[stamp_ns] = message
    seen = [
        _seen(recording, time_s, images[stamp_ns], message)
        for stamp_ns, (time_s, message) in sorted(attentions.items())
        if stamp_ns in images
    ]
    return [picture for picture in seen if picture is not None]


def _seen(recording: Recording, time_s: float, image: Any, attention: Any) -> Seen | None:
    stamp_ns = _stamp_ns(attention)
    spoken = [command for command in recording.spoken if command.stamp_ns <= stamp_ns]
    if not spoken or spoken[-1].tokens == 0:
        return None
    try:
        stacked = np.frombuffer(attention.data, '>f4' if attention.is_bigendian else '<f4')
        planes = stacked.reshape(spoken[-1].tokens, -1, attention.width).astype(np.float32)
        return Seen(time_s, stamp_ns, _picture(image), planes, spoken[-1].pieces)
    except ValueError:  # it is of another command, or no picture
        return None


def _picture(message: Any) -> NDArray[np.uint8]:
    return decode_rgb(RawImage.of(message), MAX_IMAGE_BYTES)


@contextmanager
def _opened(folder: Path) -> Iterator[Reader]:
    try:
        reader = Reader(folder)
        reader.open()
    except (FileNotFoundError, ReaderError) as error:
        raise ConfigurationError(
            f'{folder} is no rosbag2 that can be read ({error}); give the folder that '
            '"vla-ros record" wrote'
        ) from error
    try:
        yield reader
    finally:
        reader.close()


def _named(connections: Sequence[Connection], namespace: str) -> dict[str, str]:
    """Return relative names by full names, of the topics in the namespace."""
    prefix = f'/{namespace.strip("/")}/' if namespace.strip('/') else '/'
    topics = [connection.topic for connection in connections]
    return {topic: topic[len(prefix) :] for topic in topics if topic.startswith(prefix)}


def _messages(
    reader: Reader, connections: Sequence[Connection]
) -> Iterator[tuple[Connection, int, Any]]:
    if connections:  # none would mean all
        for connection, received_ns, data in reader.messages(connections):
            yield connection, received_ns, _TYPES.deserialize_cdr(data, connection.msgtype)


def _stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * _NS + message.header.stamp.nanosec


def _note_status(recording: Recording, received_ns: int, message: Any) -> None:
    values = {pair.key: pair.value for pair in message.values}
    recording.told.append(Told(_since(recording, received_ns), values))


def _note_target(recording: Recording, received_ns: int, message: Any) -> None:
    _note_pose(recording, recording.target, received_ns, message)


def _note_measured(recording: Recording, received_ns: int, message: Any) -> None:
    _note_pose(recording, recording.measured, received_ns, message)


def _note_pose(recording: Recording, track: Track, received_ns: int, message: Any) -> None:
    position = message.pose.position
    track.times_s.append(_since(recording, received_ns))
    track.stamps_s.append(_since(recording, _stamp_ns(message)))
    track.positions.append((position.x, position.y, position.z))


def _note_command(recording: Recording, received_ns: int, message: Any) -> None:
    # The text, and below it the pieces if they are known: see nodes/conversions.py.
    _, _, below = message.header.frame_id.partition('\n')
    pieces = tuple(below.split(' ')) if below else ()
    recording.spoken.append(Spoken(_stamp_ns(message), message.height, pieces))


def _note_attention(recording: Recording, received_ns: int, message: Any) -> None:
    recording.looks.append((_since(recording, received_ns), _stamp_ns(message)))


def _note_chunk(recording: Recording, received_ns: int, message: Any) -> None:
    recording.inference_s.append((received_ns - _stamp_ns(message)) / _NS)


def _since(recording: Recording, received_ns: int) -> float:
    return (received_ns - recording.start_ns) / _NS


_NOTES = {
    STATUS: _note_status,
    TARGET: _note_target,
    MEASURED: _note_measured,
    COMMAND: _note_command,
    ATTENTION: _note_attention,
    CHUNK: _note_chunk,
}
