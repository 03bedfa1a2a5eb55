"""
What the policy saw, wants and does, for RViz: attention on the table, path, target and command.

Subscribes: vla/attention, vla/image, vla/camera_info, camera/pose, vla/action_chunk, robot_action,
vla/command_embedding, vla/status
Publishes: multimodal_viz, vla/attention_image, diagnostics

Callbacks only keep the newest message; drawing happens at ``rate_hz`` and only if somebody looks.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
import sys
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Array, Pose
from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import marker_messages as shapes
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_from_message,
    camera_from_message,
    chunk_from_message,
    command_from_message,
    image_to_message,
    pose_from_message,
    raw_from_message,
    to_ns,
)
from vla_ros.nodes.diagnostics import Health, OK, report_health, WARN
from vla_ros.nodes.params import declare, MarkerParams
from vla_ros.nodes.runner import run
from vla_ros.pipeline import attention as looks
from vla_ros.pipeline.command import printable
from vla_ros.pipeline.image import decode_rgb

#: Frames that wait for their attention: 0.25 s of a fast camera, most of a second of a slow one.
KEPT_IMAGES = 8
#: Far above any policy's input; together with the number of frames it bounds the memory.
MAX_IMAGE_BYTES = 16_000_000
#: The text floats above the gripper, or above the robot's base while nothing is sent.
TEXT_OFFSET_M = np.array([0.0, 0.0, 0.2])
NO_TARGET = Pose.of((0.0, 0.0, 0.5))

T = TypeVar('T')


class MarkerNode(Node):
    def __init__(self, **options: Any) -> None:
        super().__init__('marker', **options)
        self._params = declare(self, MarkerParams)
        self._base_from_camera = camera_pose_of(self._params)
        self._camera_info: CameraInfo | None = None
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._attention: Image | None = None
        self._chunk: JointTrajectory | None = None
        self._target: PoseStamped | None = None
        self._command: EncodedCommand | None = None
        self._status: dict[str, str] = {}
        self._spread: float | None = None
        self._has_news = False
        self._drawn, self._faults = 0, Counter[str]()
        self._wire()

    def _wire(self) -> None:
        self._markers = wiring.MARKERS.publisher(self)
        self._pictures = wiring.ATTENTION_IMAGE.publisher(self)
        wiring.ATTENTION.subscription(self, self._on_attention)
        wiring.IMAGE.subscription(self, self._on_image)
        wiring.MODEL_CAMERA_INFO.subscription(self, self._on_camera_info)
        wiring.ACTION_CHUNK.subscription(self, self._on_chunk)
        wiring.ROBOT_ACTION.subscription(self, self._on_target)
        wiring.COMMAND_EMBEDDING.subscription(self, self._on_command)
        wiring.STATUS.subscription(self, self._on_status)
        if self._base_from_camera is None:
            wiring.CAMERA_POSE.subscription(self, self._on_camera_pose)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self._params.rate_hz, self._draw, clock=steady)
        report_health(self, self._health)

    def _on_attention(self, message: Image) -> None:
        self._attention, self._has_news = message, True

    def _on_image(self, message: Image) -> None:
        if len(message.data) <= MAX_IMAGE_BYTES:
            self._images[to_ns(message.header.stamp)] = message
        while len(self._images) > KEPT_IMAGES:
            self._images.popitem(last=False)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_camera_pose(self, message: PoseStamped) -> None:
        pose, frame = pose_from_message(message), message.header.frame_id
        if frame == self._params.base_frame and is_usable(pose):
            self._base_from_camera = pose
        else:
            self._complain('camera pose', f'it is {pose.vector().tolist()} in {printable(frame)}')

    def _on_chunk(self, message: JointTrajectory) -> None:
        self._chunk, self._has_news = message, True

    def _on_target(self, message: PoseStamped) -> None:
        if is_usable(pose_from_message(message)):
            self._target, self._has_news = message, True

    def _on_command(self, message: Image) -> None:
        self._command = self._attempt('command', lambda: command_from_message(message))
        self._attention = self._chunk = self._spread = None
        self._has_news = True

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._status, self._has_news = {pair.key: pair.value for pair in message.values}, True

    def _draw(self) -> None:
        """Draw what is new; what is not renewed vanishes by its lifetime."""
        is_watched = self._markers.get_subscription_count() > 0
        if not self._has_news or not (is_watched or self._pictures.get_subscription_count() > 0):
            return
        self._has_news = False
        attention, self._attention = self._attention, None
        chunk, self._chunk = self._chunk, None
        markers = [self._target_marker()]
        if attention is not None:
            markers += self._attempt('attention', lambda: self._draw_attention(attention)) or []
        if chunk is not None:
            markers.append(self._attempt('chunk', lambda: path_marker(chunk)))
        markers.append(self._text_marker())
        if is_watched:
            self._markers.publish(MarkerArray(markers=[m for m in markers if m is not None]))
            self._drawn += 1

    def _draw_attention(self, message: Image) -> list[Marker | None]:
        """Publish the heat map and return the markers; they need to know where the camera is."""
        if self._command is None or self._command.is_empty:
            return []
        if to_ns(message.header.stamp) < self._command.stamp_ns:
            return []  # it belongs to the words of the command before
        planes = attention_from_message(message, len(self._command.tokens))
        weights = looks.cell_weights(planes)
        self._spread = looks.entropy(weights)
        if self._pictures.get_subscription_count() > 0:
            self._attempt('image', lambda: self._draw_picture(message.header, weights))
        if self._camera_info is None or self._base_from_camera is None:
            return []
        camera = camera_from_message(self._camera_info, self._base_from_camera)
        header = Header(stamp=message.header.stamp, frame_id=self._params.base_frame)
        return shapes.attention_markers(header, weights, camera, self._params.table_height_m)

    def _draw_picture(self, header: Header, weights: Array) -> None:
        """Draw over the very frame that the policy saw, if it is still here."""
        message = self._images.get(to_ns(header.stamp))
        if message is not None:
            image = decode_rgb(raw_from_message(message), MAX_IMAGE_BYTES)
            self._pictures.publish(image_to_message(looks.overlay(image, weights), header))

    def _target_marker(self) -> Marker | None:
        if self._target is None:
            return None
        return shapes.target_axes(self._target.header, pose_from_message(self._target))

    def _text_marker(self) -> Marker | None:
        header, pose = Header(frame_id=self._params.base_frame), NO_TARGET
        if self._target is not None:
            header, pose = self._target.header, pose_from_message(self._target)
        words = '\n'.join(printable(line) for line in self._lines())
        return shapes.text(header, pose.position + TEXT_OFFSET_M, words) if words else None

    def _lines(self) -> Iterator[str]:
        if self._command is not None:
            yield self._command.text
        if self._status:
            state, reason = self._status.get('state', ''), self._status.get('reason', '')
            yield state if reason == 'ok' else f'{state}: {reason}'
        if self._spread is not None:
            yield f'attention spread {self._spread:.2f}'

    def _attempt(self, what: str, build: Callable[[], T]) -> T | None:
        """Return what ``build`` makes; of unusable input make a warning and None."""
        try:
            return build()
        except (ValueError, KeyError) as error:  # KeyError: a chunk without a channel
            self._complain(what, str(error))
            return None

    def _complain(self, what: str, fault: str) -> None:
        self._faults[what] += 1
        self.get_logger().warning(
            f'cannot draw the {what}: {printable(fault)}', throttle_duration_sec=5.0
        )

    def _health(self) -> Health:
        values = {'drawn': self._drawn, **{f'unusable_{k}': n for k, n in self._faults.items()}}
        if self._base_from_camera is None:
            return Health(WARN, f'no {wiring.CAMERA_POSE.name}: attention has no place', values)
        return Health(WARN if self._faults else OK, 'drawing', values)


def camera_pose_of(params: MarkerParams) -> Pose | None:
    """Return the pose given as a parameter, or None; raises ConfigurationError for nonsense."""
    values = np.array(params.camera_pose)
    if np.isnan(values).all():
        return None
    pose = Pose.of(values[:3], values[3:])
    if values.shape != (7,) or not is_usable(pose):
        raise ConfigurationError(
            f'camera_pose is {values.tolist()}: give x, y, z in metres and a unit quaternion '
            'qx, qy, qz, qw of the optical frame in the base frame, or leave it out'
        )
    return pose


def is_usable(pose: Pose) -> bool:
    is_unit = abs(float(np.linalg.norm(pose.quaternion)) - 1.0) < 1e-3
    return is_unit and bool(np.isfinite(pose.vector()).all())


def path_marker(message: JointTrajectory) -> Marker | None:
    return shapes.chunk_path(message.header, chunk_from_message(message))


def main(args: Sequence[str] | None = None) -> int:
    return run(MarkerNode, args)


if __name__ == '__main__':
    sys.exit(main())
