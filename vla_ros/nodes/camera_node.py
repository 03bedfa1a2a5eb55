"""
Camera frames in any common encoding to the model's size.

Subscribes: camera/image_raw or camera/image_raw/compressed, camera/camera_info
Publishes: vla/image, vla/camera_info (headers of the raw frame), /diagnostics
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from vla_ros import paths
from vla_ros.nodes import wiring
from vla_ros.nodes.codec import choose_decoder
from vla_ros.nodes.conversions import image_to_message, resized_camera_message
from vla_ros.nodes.diagnostics import ERROR, Faults, Health, OK, report_health, Stream, WARN
from vla_ros.nodes.in_process import Inbox
from vla_ros.nodes.params import CameraParams, declare
from vla_ros.nodes.rivals import Lookout
from vla_ros.nodes.runner import run
from vla_ros.pipeline.image import decode_compressed, fit, ImageError
from vla_ros.shared_memory import peer_segments_bytes

#: A camera that is silent for so long is reported as missing.
MISSING_AFTER_S = 3.0


class CameraNode(Node):
    def __init__(self, **options: Any) -> None:
        super().__init__('camera', **options)
        self._params = declare(self, CameraParams)
        name, self._decode = choose_decoder()
        self.get_logger().info(f'decoding images with {name}')
        self._info: CameraInfo | None = None
        self._frames = Stream()
        self._rejected = Faults()
        self._is_missing = False
        self._frame_bytes = self._checked_bytes = 0
        self._image = wiring.IMAGE.publisher(self)
        self._camera_info = wiring.MODEL_CAMERA_INFO.publisher(self)
        wiring.CAMERA_INFO.subscription(self, self._on_info)
        if self._params.image_transport == 'compressed':
            self._source, self._on_frame = wiring.IMAGE_COMPRESSED, self._on_compressed
        else:
            self._source, self._on_frame = wiring.IMAGE_RAW, self._on_raw
        self._lookout = Lookout(self, (self._source,))
        self._subscription: Subscription | Inbox | None = None
        self._subscribe()
        report_health(self, self._health)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_raw(self, message: Image) -> None:
        max_bytes = self._params.max_image_bytes
        self._frame_bytes = len(message.data)
        self._process(message.header, lambda: self._decode(message, max_bytes))

    def _on_compressed(self, message: CompressedImage) -> None:
        max_bytes = self._params.max_image_bytes
        data = memoryview(message.data)
        self._frame_bytes = len(data)
        self._process(message.header, lambda: decode_compressed(message.format, data, max_bytes))

    def _process(self, header: Header, decode: Callable[[], NDArray[np.uint8]]) -> None:
        if self._listen_to_one():
            return
        self._frames.tick()
        try:
            frame = decode()
        except ImageError as error:
            self._rejected[error.reason] += 1
            self.get_logger().warning(
                f'rejected a frame ({error.reason}): {error}', throttle_duration_sec=1.0
            )
            return
        self._publish_info(header, frame)
        frame = fit(frame, self._params.image_width, self._params.image_height)
        self._image.publish(image_to_message(frame, header))

    def _publish_info(self, header: Header, frame: NDArray[np.uint8]) -> None:
        if self._info is None:
            return
        try:
            if (self._info.height, self._info.width) != frame.shape[:2]:
                raise ValueError(
                    f'it is for {self._info.width}x{self._info.height} frames, '
                    f'these are {frame.shape[1]}x{frame.shape[0]}'
                )
            info = resized_camera_message(
                self._info, self._params.image_width, self._params.image_height
            )
        except ValueError as error:
            self.get_logger().warning(f'camera_info: {error}', throttle_duration_sec=10.0)
            return
        info.header = header
        self._camera_info.publish(info)

    def _listen_to_one(self) -> str:
        """
        Return who publishes beside the camera, '' for nobody; meanwhile no frame is taken.

        Whose frame is the robot's? And a flood of them fills the memory of the middleware even
        where nobody takes them, so the subscription itself has to go.
        """
        rival = self._lookout.look(time.monotonic())
        if rival and self._subscription is not None:
            self.get_logger().error(f'{rival}: no frame is taken while both are there')
            wiring.unsubscribe(self, self._subscription)
            self._subscription = None
        elif not rival and self._subscription is None:
            self._subscribe()
        return rival

    def _subscribe(self) -> None:
        self._subscription = self._source.subscription(self, self._on_frame, is_temporary=True)

    def _warn_of_losses(self) -> None:
        """Tell once, for each size of frames, when they do not fit the memory they may come by."""
        if self._frame_bytes <= self._checked_bytes:
            return
        self._checked_bytes = self._frame_bytes
        smallest = min(peer_segments_bytes().values(), default=self._frame_bytes)
        if smallest < self._frame_bytes:
            self.get_logger().warning(
                f'a frame is {self._frame_bytes / 1e6:.1f} MB, and a process heard here has '
                f'{smallest / 1e6:.1f} MB of shared memory: if that is the camera driver, most '
                f'frames are lost; {_more_memory()}'
            )

    def _health(self) -> Health:
        rival = self._listen_to_one()
        self._warn_of_losses()
        values = {
            'frames': self._frames.count,
            'rate_hz': self._frames.rate_hz(),
            'age_s': self._frames.age_s(),
            **{f'rejected_{reason}': n for reason, n in sorted(self._rejected.items())},
        }
        if rival:
            return Health(ERROR, rival, values)
        was_missing = self._is_missing
        self._is_missing = self._frames.age_s() > MISSING_AFTER_S
        if self._is_missing:
            text = self._missing_text()
            if not was_missing:
                self.get_logger().warning(text)
            return Health(ERROR, text, values)
        if was_missing:
            self.get_logger().info('frames arrive again')
        if self._rejected.have_grown():
            return Health(WARN, 'some frames were rejected', values)
        return Health(OK, 'ok', values)

    def _missing_text(self) -> str:
        topic = self.resolve_topic_name(self._source.name)
        publishers = self.count_publishers(topic)
        advice = (
            f'its publisher is silent, or no frame fits its shared memory; {_more_memory()}'
            if publishers
            else 'nobody publishes it; start the camera driver or remap the topic'
        )
        return f'no frame on {topic} for {self._frames.age_s():.0f} s: {advice}'


def _more_memory() -> str:
    profile = paths.share_dir() / 'config' / 'fastdds.xml'
    return (
        f'start the driver with FASTRTPS_DEFAULT_PROFILES_FILE={profile} '
        '(Kilted: FASTDDS_DEFAULT_PROFILES_FILE)'
    )


def main(args: Sequence[str] | None = None) -> int:
    return run(CameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
