"""
Messages to pure values and back, and nothing else.

Values are passed on as they are: whether a pose is finite or an image makes sense is for the
pipeline to judge. Only what cannot be read at all raises ValueError, with the reason.

Large arrays cross as ``array.array``: rclpy takes any other type element by element.
"""

from __future__ import annotations

from array import array
import sys

from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseStamped
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, CameraModel, EncodedCommand

#: Channels that carry the stamp of the command in a chunk message; exact in float64.
COMMAND_CHANNELS = ('command.sec', 'command.nanosec')
#: Longer chunks are refused before they are read.
MAX_CHUNK_ROWS = 1000

_NS = 1_000_000_000


def to_ns(stamp: Time) -> int:
    return stamp.sec * _NS + stamp.nanosec


def to_stamp(ns: int) -> Time:
    return Time(sec=ns // _NS, nanosec=ns % _NS)


def header(stamp_ns: int, frame_id: str) -> Header:
    return Header(stamp=to_stamp(stamp_ns), frame_id=frame_id)


def pose_message(pose: Pose) -> PoseMessage:
    message = PoseMessage()
    p, q = message.position, message.orientation
    p.x, p.y, p.z = (float(v) for v in pose.position)
    q.x, q.y, q.z, q.w = (float(v) for v in pose.quaternion)
    return message


def pose_to_message(pose: Pose, stamp_ns: int, frame_id: str) -> PoseStamped:
    return PoseStamped(header=header(stamp_ns, frame_id), pose=pose_message(pose))


def pose_from_message(message: PoseStamped) -> Pose:
    p, q = message.pose.position, message.pose.orientation
    return Pose.of((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))


def camera_to_message(camera: CameraModel, stamp_ns: int, frame_id: str) -> CameraInfo:
    """Return the intrinsics; the camera's pose travels on its own (``camera/pose``)."""
    info = CameraInfo(
        header=header(stamp_ns, frame_id),
        width=camera.width,
        height=camera.height,
        distortion_model='plumb_bob',
    )
    info.d = [0.0] * 5
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    _set_intrinsics(info, camera)
    return info


def camera_from_message(info: CameraInfo, base_from_camera: Pose) -> CameraModel:
    """Return the pinhole part of ``info``; raises ValueError for an uncalibrated camera."""
    fx, _, cx, _, fy, cy = (float(v) for v in info.k[:6])
    intrinsics_are_sane = np.isfinite([fx, fy, cx, cy]).all() and fx > 0.0 and fy > 0.0
    if not intrinsics_are_sane or info.width == 0 or info.height == 0:
        raise ValueError(
            f'camera is not calibrated: {info.width}x{info.height} with K = {info.k.tolist()}'
        )
    return CameraModel(info.width, info.height, fx, fy, cx, cy, base_from_camera)


def resized_camera_message(info: CameraInfo, width: int, height: int) -> CameraInfo:
    """
    Return the intrinsics after a centre crop and resize; raises ValueError if uncalibrated.

    Distortion coefficients act on normalised coordinates and stay as they are.
    """
    resized = CameraInfo(
        header=info.header,
        width=width,
        height=height,
        distortion_model=info.distortion_model,
        d=info.d,
        r=info.r,
    )
    camera = camera_from_message(info, Pose.of((0.0, 0.0, 0.0)))
    _set_intrinsics(resized, camera.resized(width, height))
    return resized


def _set_intrinsics(info: CameraInfo, camera: CameraModel) -> None:
    fx, fy, cx, cy = (float(v) for v in (camera.fx, camera.fy, camera.cx, camera.cy))
    info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    info.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]


def image_to_message(image: NDArray[np.uint8], message_header: Header) -> Image:
    """Return an rgb8 message of ``image`` (h, w, 3)."""
    return _image_message(image, 'rgb8', message_header)


def command_to_message(command: EncodedCommand) -> Image:
    """
    Return the tokens as 32FC1; the header holds the command's identity and text.

    Where the pieces are known they stand below the text, on a line of their own.
    """
    tokens = np.asarray(command.tokens, dtype=np.float32)
    lines = [command.text, *([' '.join(command.pieces)] if command.pieces else [])]
    return _image_message(tokens, '32FC1', header(command.stamp_ns, '\n'.join(lines)))


def command_from_message(message: Image) -> EncodedCommand:
    """Return the command; raises ValueError if the message is no matrix of floats."""
    text, _, below = message.header.frame_id.partition('\n')
    tokens, pieces = _floats(message), tuple(below.split(' '))
    return EncodedCommand(
        text=text,
        stamp_ns=to_ns(message.header.stamp),
        tokens=tokens,
        # Others cannot be told apart: better none than those of other tokens.
        pieces=pieces if below and len(pieces) == len(tokens) else (),
    )


def attention_to_message(attention: NDArray[np.float32], message_header: Header) -> Image:
    """Return planes (n, gh, gw) stacked by height as 32FC1."""
    planes = np.asarray(attention, dtype=np.float32)
    return _image_message(planes.reshape(-1, planes.shape[2]), '32FC1', message_header)


def attention_from_message(message: Image, planes: int) -> NDArray[np.float32]:
    """Return the ``planes`` stacked planes (n, gh, gw); raises ValueError if they do not fit."""
    stacked = _floats(message)
    if planes < 1 or len(stacked) % planes:
        raise ValueError(f'{len(stacked)} rows of attention are not {planes} equal planes')
    return stacked.reshape(planes, -1, message.width)


def _image_message(values: NDArray, encoding: str, message_header: Header) -> Image:
    values = np.ascontiguousarray(values)
    data = array('B')
    data.frombytes(values.tobytes() if values.size == 0 else values.data.cast('B'))
    return Image(
        header=message_header,
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == 'big'),
        step=values.shape[1] * values.itemsize * (values.shape[2] if values.ndim == 3 else 1),
        data=data,
    )


def _floats(message: Image) -> NDArray[np.float32]:
    height, width = message.height, message.width
    if message.encoding != '32FC1':
        raise ValueError(f'encoding is {message.encoding!r}, not 32FC1')
    if message.step != 4 * width or len(message.data) != height * message.step:
        raise ValueError(
            f'{len(message.data)} bytes with step {message.step} are not {height} x {width} floats'
        )
    kind = '>f4' if message.is_bigendian else '<f4'
    return np.frombuffer(message.data, dtype=kind).reshape(height, width).astype(np.float32)


def chunk_to_message(chunk: ActionChunk) -> JointTrajectory:
    """Return the chunk as named channels over time, with the command's stamp as two more."""
    command = [float(v) for v in divmod(chunk.command_stamp_ns, _NS)]
    message = JointTrajectory(
        header=header(chunk.stamp_ns, chunk.frame_id),
        joint_names=[*chunk.channels, *COMMAND_CHANNELS],
    )
    for i, row in enumerate(chunk.values.tolist()):
        seconds, nanoseconds = divmod(round(i * chunk.dt_s * 1e9), _NS)
        message.points.append(
            JointTrajectoryPoint(
                positions=row + command,
                time_from_start=Duration(sec=seconds, nanosec=nanoseconds),
            )
        )
    return message


def chunk_from_message(message: JointTrajectory) -> ActionChunk:
    """
    Return the chunk; raises ValueError with the reason if the message is malformed.

    The rows must be evenly spaced in time from zero, all as wide as the channel names, and name
    one command.
    """
    names, points = tuple(message.joint_names), message.points
    if not 2 <= len(points) <= MAX_CHUNK_ROWS:
        raise ValueError(f'a chunk has 2 to {MAX_CHUNK_ROWS} rows, this one {len(points)}')
    if len(set(names)) != len(names):
        raise ValueError(f'channel names repeat: {", ".join(names)}')
    if any(len(p.positions) != len(names) for p in points):
        raise ValueError(f'a row does not have one value for each of the {len(names)} channels')
    rows = np.array([p.positions for p in points], dtype=np.float64)
    if not set(COMMAND_CHANNELS) < set(names):
        raise ValueError(f'channels {", ".join(COMMAND_CHANNELS)} or the action are missing')
    stamp_columns = [names.index(name) for name in COMMAND_CHANNELS]
    action_columns = [i for i in range(len(names)) if i not in stamp_columns]
    return ActionChunk(
        stamp_ns=to_ns(message.header.stamp),
        command_stamp_ns=_command_stamp(rows[:, stamp_columns]),
        frame_id=message.header.frame_id,
        channels=tuple(names[i] for i in action_columns),
        values=rows[:, action_columns],
        dt_s=_spacing_s([to_ns(p.time_from_start) for p in points]),
    )


def _command_stamp(stamps: NDArray[np.float64]) -> int:
    seconds, nanoseconds = stamps[0]
    if not (0 <= seconds < 2**31 and 0 <= nanoseconds < _NS and (stamps == stamps[0]).all()):
        raise ValueError(f'command stamp {seconds} s {nanoseconds} ns is none, or it changes')
    return int(seconds) * _NS + int(nanoseconds)


def _spacing_s(times_ns: list[int]) -> float:
    spacing_ns = times_ns[-1] / (len(times_ns) - 1)
    uneven = any(abs(t - i * spacing_ns) > 1000 for i, t in enumerate(times_ns))
    if uneven or spacing_ns <= 0:
        raise ValueError('rows are not evenly spaced in time from zero')
    return spacing_ns / 1e9
