"""
What the policy saw, wants and does, for RViz: attention in 3D, path, target, words and state.

Subscribes: vla/attention or vla/saliency, vla/image, vla/camera_info, camera/pose,
camera/depth/image_raw, vla/action_chunk, robot_action, vla/command_embedding, vla/status
Publishes: multimodal_viz, vla/attention_image, vla/attention_entropy, /diagnostics

Callbacks only keep the newest message; drawing happens at ``rate_hz`` and only if somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import os
import sys
import time
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32, Header
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker, MarkerArray

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Array, Pose
from vla_ros.interfaces import ActionChunk, EncodedCommand
from vla_ros.nodes import marker_messages as shapes
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_from_message,
    camera_from_message,
    chunk_from_message,
    command_from_message,
    image_to_message,
    pose_from_message,
    to_ns,
    to_stamp,
)
from vla_ros.nodes.diagnostics import Durations, Faults, Health, OK, report_health, WARN
from vla_ros.nodes.params import declare, MarkerParams
from vla_ros.nodes.runner import run
from vla_ros.pipeline.attention import peak, relative
from vla_ros.pipeline.command import printable
from vla_ros.pipeline.heat_map import picture
from vla_ros.pipeline.image import decode_rgb, depth_m, RawImage
from vla_ros.pipeline.look import check_word, Look, look_at
from vla_ros.pipeline.placing import Depth, place, place_cells
from vla_ros.pipeline.recent import Recent
from vla_ros.pipeline.telling import command_lines, look_lines, state_lines

#: Frames that wait for their attention: 0.25 s of a fast camera, most of a second of a slow one.
KEPT = 8
#: Far above any policy's input; together with the number of frames it bounds the memory.
MAX_IMAGE_BYTES = 16_000_000
#: Depth from farther away in time than this may show another scene.
DEPTH_WITHIN_NS = 100_000_000
#: The texts float above the gripper, or above the robot's base while nothing is sent.
COMMAND_OFFSET_M, STATE_OFFSET_M = np.array([0.0, 0.0, 0.24]), np.array([0.0, 0.0, 0.16])
NO_TARGET = Pose.of((0.0, 0.0, 0.5))

DISTORTED = (
    'camera_info tells of a lens that distorts, with which attention in 3D does not reckon: it is '
    'off towards the edges of the picture, unless the frames are rectified'
)

#: Of the process: who looks on waits for the nodes that move the robot.
NICENESS = 5

T = TypeVar('T')


class MarkerNode(Node):
    def __init__(self, **options: Any) -> None:
        super().__init__('marker', **options)
        self._params = declare(self, MarkerParams)
        self._word = check_word(self._params.word)
        self._base_from_camera = camera_pose_of(self._params)
        self._camera_info: CameraInfo | None = None
        self._images, self._depths = Recent[Image](KEPT), Recent[Image](KEPT)
        self._chunks = Recent[ActionChunk](KEPT)
        self._attention: Image | None = None
        self._chunk: ActionChunk | None = None
        self._target: PoseStamped | None = None
        self._command: EncodedCommand | None = None
        self._status: dict[str, str] = {}
        self._look: Look | None = None
        self._looked_s = self._told_s = 0.0
        self._has_news = False
        self._drawing, self._faults = Durations(), Faults()
        self._wire()

    def _wire(self) -> None:
        self._markers = wiring.MARKERS.publisher(self)
        self._pictures = wiring.ATTENTION_IMAGE.publisher(self)
        self._entropy = wiring.ATTENTION_ENTROPY.publisher(self)
        is_saliency = self._params.source == 'saliency'
        source = wiring.SALIENCY if is_saliency else wiring.ATTENTION
        source.subscription(self, self._on_attention)
        wiring.IMAGE.subscription(self, lambda m: self._keep(self._images, m))
        wiring.DEPTH.subscription(self, lambda m: self._keep(self._depths, m))
        wiring.MODEL_CAMERA_INFO.subscription(self, self._on_camera_info)
        wiring.ACTION_CHUNK.subscription(self, self._on_chunk)
        wiring.ROBOT_ACTION.subscription(self, self._on_target)
        wiring.COMMAND_EMBEDDING.subscription(self, self._on_command)
        wiring.STATUS.subscription(self, self._on_status)
        if self._base_from_camera is None:
            wiring.CAMERA_POSE.subscription(self, self._on_camera_pose)
        self.add_on_set_parameters_callback(self._on_parameters)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self._params.rate_hz, self._draw, clock=steady)
        report_health(self, self._health)

    def _on_attention(self, message: Image) -> None:
        self._attention, self._has_news = message, True

    @staticmethod
    def _keep(recent: Recent[Image], message: Image) -> None:
        if len(message.data) <= MAX_IMAGE_BYTES:
            recent.add(to_ns(message.header.stamp), message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message
        if any(message.d):
            self.get_logger().warning(DISTORTED, throttle_duration_sec=60.0)

    def _on_camera_pose(self, message: PoseStamped) -> None:
        pose, frame = pose_from_message(message), message.header.frame_id
        expected = self._params.base_frame
        if frame != expected:
            fault = f'it is in {frame!r}; expected: {expected!r}, the parameter base_frame'
            self._complain('camera pose', fault)
        elif not is_usable(pose):
            fault = f'it is {pose.vector().tolist()}; expected: numbers and a unit quaternion'
            self._complain('camera pose', fault)
        else:
            self._base_from_camera = pose

    def _on_chunk(self, message: JointTrajectory) -> None:
        chunk = self._attempt('chunk', lambda: chunk_from_message(message))
        if chunk is not None:
            self._chunks.add(chunk.stamp_ns, chunk)
            self._chunk, self._has_news = chunk, True

    def _on_target(self, message: PoseStamped) -> None:
        if is_usable(pose_from_message(message)):
            self._target, self._has_news = message, True
            self._told_s = time.monotonic()

    def _on_command(self, message: Image) -> None:
        self._command = self._attempt('command', lambda: command_from_message(message))
        self._attention = self._chunk = self._look = None
        self._has_news = True

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._status, self._has_news = {pair.key: pair.value for pair in message.values}, True

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            words = [check_word(str(p.value)) for p in parameters if p.name == 'word']
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._word = (words or [self._word])[-1]
        return SetParametersResult(successful=True)

    def _draw(self) -> None:
        """Draw what is new; what is not renewed vanishes by its lifetime."""
        outputs = self._markers, self._pictures, self._entropy
        if not (self._has_news and any(p.get_subscription_count() for p in outputs)):
            return
        started_s, self._has_news = time.monotonic(), False
        markers: list[Marker | None] = []
        if (attention := self._take_attention()) is not None:
            markers += self._attempt('attention', lambda: self._draw_attention(attention)) or []
        markers += [self._path_marker(), self._target_marker()]
        markers += [self._attempt('workspace', self._workspace_marker), *self._text_markers()]
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(MarkerArray(markers=[m for m in markers if m is not None]))
        self._drawing.add(time.monotonic() - started_s)

    def _take_attention(self) -> Image | None:
        """Return the newest attention if the chunk of its frame serves the command in force."""
        if self._attention is None or self._command is None:
            return None
        chunk = self._chunks.get(to_ns(self._attention.header.stamp))
        if chunk is None:  # on its way
            return None
        attention, self._attention = self._attention, None
        return attention if chunk.command_stamp_ns == self._command.stamp_ns else None

    def _draw_attention(self, message: Image) -> list[Marker | None]:
        """Publish the heat map and return the markers."""
        assert self._command is not None
        if self._command.is_empty:
            return []
        planes = attention_from_message(message, len(self._command.tokens))
        look = look_at(planes, self._command.pieces, self._word)
        self._look, self._looked_s = look, time.monotonic()
        self._entropy.publish(Float32(data=look.spread))
        if self._pictures.get_subscription_count() > 0:
            self._attempt('image', lambda: self._draw_picture(message.header, look))
        return self._attention_markers(message.header, look.weights)

    def _attention_markers(self, seen: Header, weights: Array) -> list[Marker | None]:
        """Return cells and peak; they have a place only if it is known where the camera is."""
        if self._camera_info is None or self._base_from_camera is None:
            return []
        camera = camera_from_message(self._camera_info, self._base_from_camera)
        depth = self._attempt('depth', lambda: self._depth_at(seen))
        shape, plane_m = weights.shape, self._params.plane_height_m
        centres, size_m = place_cells(shape, camera, plane_m, depth)
        row, column = peak(weights)
        top = place([row], [column], shape, camera, plane_m, depth)[0]
        header = Header(stamp=seen.stamp, frame_id=self._params.base_frame)
        return [
            shapes.attention_cells(header, centres, relative(weights).ravel(), size_m),
            shapes.attention_peak(header, top),
        ]

    def _depth_at(self, header: Header) -> Depth | None:
        message = self._depths.nearest(to_ns(header.stamp), DEPTH_WITHIN_NS)
        return None if message is None else depth_m(RawImage.of(message), MAX_IMAGE_BYTES)

    def _draw_picture(self, header: Header, look: Look) -> None:
        """Draw over the very frame that the policy saw, if it is still here."""
        message = self._images.get(to_ns(header.stamp))
        if message is not None:
            image = decode_rgb(RawImage.of(message), MAX_IMAGE_BYTES)
            drawn = picture(image, look, self._params.source)
            self._pictures.publish(image_to_message(drawn, header))

    def _path_marker(self) -> Marker | None:
        chunk, self._chunk = self._chunk, None
        if chunk is None or self._command is None:
            return None
        if chunk.command_stamp_ns != self._command.stamp_ns:
            return None
        header = Header(stamp=to_stamp(chunk.stamp_ns), frame_id=chunk.frame_id)
        return self._attempt('chunk', lambda: shapes.chunk_path(header, chunk))

    def _target_marker(self) -> Marker | None:
        is_fresh = time.monotonic() - self._told_s <= shapes.LIFETIME_S
        if self._target is None or not is_fresh:  # status goes on when the robot is told nothing
            return None
        return shapes.target_axes(self._target.header, pose_from_message(self._target))

    def _workspace_marker(self) -> Marker | None:
        """Draw the box that the gate keeps to, as it told; raises ValueError for no box."""
        if 'workspace_min' not in self._status:
            return None
        low, high = (
            np.array([float(v) for v in self._status[name].split()])
            for name in ('workspace_min', 'workspace_max')
        )
        if low.shape != (3,) or high.shape != (3,) or not np.isfinite([low, high]).all():
            raise ValueError(f'its corners are {low.tolist()} and {high.tolist()}')
        return shapes.workspace_box(self._here()[0], low, high)

    def _here(self) -> tuple[Header, Array]:
        """Return where texts are anchored, with the newest stamp."""
        if self._target is None:
            return Header(frame_id=self._params.base_frame), NO_TARGET.position
        return self._target.header, pose_from_message(self._target).position

    def _text_markers(self) -> Iterator[Marker]:
        header, position = self._here()
        if self._command is not None and not self._command.is_empty:
            lines = command_lines(self._command.text, self._command.pieces)
            is_fresh = time.monotonic() - self._looked_s <= shapes.LIFETIME_S
            if self._look is not None and is_fresh:
                lines += look_lines(self._look, self._params.source)
            words = '\n'.join(map(printable, lines))
            yield shapes.command_text(header, position + COMMAND_OFFSET_M, words)
        if state := self._status.get('state', ''):
            lines = state_lines(state, self._status.get('reason', ''))
            words = '\n'.join(map(printable, lines))
            yield shapes.state_text(header, position + STATE_OFFSET_M, state, words)

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
        values: dict[str, object] = {
            'source': self._params.source,
            'word': self._word,
            **self._drawing.values('drawing'),
            **{f'unusable_{what}': n for what, n in self._faults.items()},
        }
        if self._look is not None:
            values['entropy'] = self._look.spread
        if self._base_from_camera is None:
            return Health(WARN, f'no {wiring.CAMERA_POSE.name}: attention has no place', values)
        return Health(WARN if self._faults.have_grown() else OK, 'drawing', values)


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


def main(args: Sequence[str] | None = None) -> int:
    os.nice(NICENESS)
    return run(MarkerNode, args)


if __name__ == '__main__':
    sys.exit(main())
