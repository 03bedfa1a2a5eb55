"""
The one place that turns image messages into RGB: cv_bridge where it imports, OpenCV elsewhere.

The header is always checked by the pipeline first, for cv_bridge believes it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from vla_ros.pipeline.image import check_header, decode_rgb, ImageError, RawImage

#: ``decode(message, max_bytes)`` returns (h, w, 3) RGB or raises ImageError.
Decoder = Callable[[Image, int], NDArray[np.uint8]]

# Bytes a pixel of what cv_bridge decodes as we do. It takes 8UCx as any colour order, knows no
# NV12 and reads padded rows and foreign byte order wrongly.
_CV_BRIDGE = {
    **dict.fromkeys(('rgb8', 'bgr8'), 3),
    **dict.fromkeys(('rgba8', 'bgra8'), 4),
    **dict.fromkeys(('mono8', 'bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8'), 1),
    **dict.fromkeys(('yuv422', 'yuv422_yuy2'), 2),
}


def opencv_decode(message: Image, max_bytes: int) -> NDArray[np.uint8]:
    return decode_rgb(RawImage.of(message), max_bytes)


def cv_bridge_decoder() -> Decoder | None:
    """Return a decoder on cv_bridge, or None where it does not work."""
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        probe = Image(width=1, height=1, encoding='bgr8', step=3, data=b'\x01\x02\x03')
        if bridge.imgmsg_to_cv2(probe, 'rgb8').tolist() != [[[3, 2, 1]]]:
            return None
    except Exception:  # built for another NumPy it fails in ways of its own
        return None

    def decode(message: Image, max_bytes: int) -> NDArray[np.uint8]:
        if message.step != message.width * _CV_BRIDGE.get(message.encoding, 0):
            return opencv_decode(message, max_bytes)
        check_header(RawImage.of(message), max_bytes)
        try:
            return np.asarray(bridge.imgmsg_to_cv2(message, 'rgb8'))
        except Exception as error:
            raise ImageError('corrupt', f'cv_bridge: {error}') from error

    return decode


def choose_decoder() -> tuple[str, Decoder]:
    """Return the name and the decoder to use in this process."""
    decoder = cv_bridge_decoder()
    return ('cv_bridge', decoder) if decoder is not None else ('OpenCV', opencv_decode)
