"""
Camera frames to model-sized RGB: check the header, decode, crop and resize.

A frame is judged by its header before a byte of it is copied, so a lying header costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

#: No camera has a longer side; guards the arithmetic below against 2**32 - 1.
MAX_SIDE_PX = 32768


class ImageError(ValueError):
    """A frame that cannot be used; ``reason`` is one stable word for counters."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class RawImage:
    """A frame as it came; ``data`` holds rows of ``step`` bytes and is not copied."""

    width: int
    height: int
    encoding: str
    step: int
    is_bigendian: bool
    data: memoryview

    @classmethod
    def of(cls, message: Any) -> RawImage:
        """Return a view of whatever has the fields of a sensor_msgs/Image; pixels stay there."""
        return cls(
            width=message.width,
            height=message.height,
            encoding=message.encoding,
            step=message.step,
            is_bigendian=bool(message.is_bigendian),
            data=memoryview(message.data),
        )


@dataclass(frozen=True)
class _Encoding:
    """How a pixel is stored, and the OpenCV code that makes it RGB (None: it is)."""

    channels: int
    to_rgb: int | None
    bytes_per_channel: int = 1
    #: Chroma that is shared by neighbours makes whole blocks (width, height) necessary.
    block: tuple[int, int] = (1, 1)
    #: Rows of the buffer for each two rows of the picture.
    rows_per_two: int = 2


# OpenCV names a Bayer pattern by its second row, ROS by its first.
_COLOUR = {
    'rgb8': _Encoding(3, None),
    'bgr8': _Encoding(3, cv2.COLOR_BGR2RGB),
    'rgba8': _Encoding(4, cv2.COLOR_RGBA2RGB),
    'bgra8': _Encoding(4, cv2.COLOR_BGRA2RGB),
    'mono8': _Encoding(1, cv2.COLOR_GRAY2RGB),
    'mono16': _Encoding(1, cv2.COLOR_GRAY2RGB, bytes_per_channel=2),
    '8UC1': _Encoding(1, cv2.COLOR_GRAY2RGB),
    '8UC3': _Encoding(3, cv2.COLOR_BGR2RGB),
    '8UC4': _Encoding(4, cv2.COLOR_BGRA2RGB),
    '16UC1': _Encoding(1, cv2.COLOR_GRAY2RGB, bytes_per_channel=2),
    'bayer_rggb8': _Encoding(1, cv2.COLOR_BayerBG2RGB, block=(2, 2)),
    'bayer_bggr8': _Encoding(1, cv2.COLOR_BayerRG2RGB, block=(2, 2)),
    'bayer_gbrg8': _Encoding(1, cv2.COLOR_BayerGR2RGB, block=(2, 2)),
    'bayer_grbg8': _Encoding(1, cv2.COLOR_BayerGB2RGB, block=(2, 2)),
    'yuv422': _Encoding(2, cv2.COLOR_YUV2RGB_UYVY, block=(2, 1)),
    'uyvy': _Encoding(2, cv2.COLOR_YUV2RGB_UYVY, block=(2, 1)),
    'yuv422_yuy2': _Encoding(2, cv2.COLOR_YUV2RGB_YUY2, block=(2, 1)),
    'yuyv': _Encoding(2, cv2.COLOR_YUV2RGB_YUY2, block=(2, 1)),
    'nv12': _Encoding(1, cv2.COLOR_YUV2RGB_NV12, block=(2, 2), rows_per_two=3),
    'nv21': _Encoding(1, cv2.COLOR_YUV2RGB_NV21, block=(2, 2), rows_per_two=3),
}
_DEPTH = {
    '16UC1': _Encoding(1, None, bytes_per_channel=2),
    '32FC1': _Encoding(1, None, bytes_per_channel=4),
}

#: Encodings that ``decode_rgb`` takes.
COLOUR_ENCODINGS = tuple(_COLOUR)


def check_header(raw: RawImage, max_bytes: int) -> None:
    """
    Raise ImageError unless ``raw`` is a colour or grey frame that its buffer really holds.

    Neither the buffer nor the decoded frame may be larger than ``max_bytes``.
    """
    _check(raw, max_bytes, _COLOUR)


def decode_rgb(raw: RawImage, max_bytes: int) -> NDArray[np.uint8]:
    """
    Return the frame as (h, w, 3) RGB; raises ImageError as ``check_header`` does.

    The result of an ``rgb8`` frame is a view of its buffer. Sixteen bits are scaled to eight, and
    ``8UC3`` and ``8UC4`` are taken as BGR(A), as OpenCV stores them.
    """
    check_header(raw, max_bytes)
    encoding = _COLOUR[raw.encoding]
    pixels = _pixels(raw, encoding)
    if encoding.bytes_per_channel == 2:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / 65535.0)
    return pixels if encoding.to_rgb is None else _convert(pixels, encoding.to_rgb)


def depth_m(raw: RawImage, max_bytes: int) -> NDArray[np.float32]:
    """Return depth (h, w) in metres from 16UC1 (mm, 0: none) or 32FC1 (m); NaN where unknown."""
    _check(raw, max_bytes, _DEPTH)
    pixels = _pixels(raw, _DEPTH[raw.encoding])
    if raw.encoding == '16UC1':
        return np.where(pixels == 0, np.float32('nan'), pixels / np.float32(1000.0))
    depth = pixels.astype(np.float32)
    return np.where(np.isfinite(depth), depth, np.float32('nan'))


def decode_compressed(
    image_format: str, data: bytes | memoryview, max_bytes: int
) -> NDArray[np.uint8]:
    """
    Return a JPEG or PNG picture as (h, w, 3) RGB; raises ImageError.

    ``image_format`` only serves the message: the data say what they are. Size and completeness
    are read from the file's own markers before it is decoded.
    """
    buffer = bytes(data)
    if len(buffer) > max_bytes:
        raise ImageError('too_large', f'{len(buffer)} bytes are more than {max_bytes}')
    width, height = _compressed_size(image_format, buffer)
    _check_size(width, height, 3 * width * height, max_bytes)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(buffer, dtype=np.uint8), flags)
    except cv2.error as error:
        raise ImageError('corrupt', f'cannot decode {width}x{height}: {error.err}') from error
    if picture is None or picture.shape[:2] != (height, width):
        raise ImageError('corrupt', f'cannot decode the {width}x{height} picture')
    return _convert(picture, cv2.COLOR_BGR2RGB)


def fit(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """
    Return the centre of ``image`` (h, w, 3), cropped to the new aspect ratio and resized.

    Shrinking averages areas, so that small objects do not flicker. ``CameraModel.resized`` is the
    same for the intrinsics, to half a pixel of the source.
    """
    source_height, source_width = image.shape[:2]
    scale = max(width / source_width, height / source_height)
    crop_width, crop_height = round(width / scale), round(height / scale)
    left, top = (source_width - crop_width) // 2, (source_height - crop_height) // 2
    crop = image[top : top + crop_height, left : left + crop_width]
    if crop.shape[:2] == (height, width):
        return crop
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop, (width, height), interpolation=method), dtype=np.uint8)


def _convert(pixels: NDArray, code: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)


def _check(raw: RawImage, max_bytes: int, encodings: dict[str, _Encoding]) -> None:
    encoding = encodings.get(raw.encoding)
    if encoding is None:
        raise ImageError(
            'encoding', f'encoding {raw.encoding[:32]!r} is none of {", ".join(encodings)}'
        )
    _check_size(raw.width, raw.height, 3 * raw.width * raw.height, max_bytes)
    if raw.width % encoding.block[0] or raw.height % encoding.block[1]:
        raise ImageError('size', f'{raw.encoding} cannot be {raw.width}x{raw.height}')
    row_bytes = raw.width * encoding.channels * encoding.bytes_per_channel
    if raw.step < row_bytes:
        raise ImageError('step', f'step {raw.step} is less than the {row_bytes} bytes of a row')
    size = raw.step * _rows(raw, encoding)
    if size > max_bytes:
        raise ImageError('too_large', f'{size} bytes are more than {max_bytes}')
    if len(raw.data) != size:
        raise ImageError('data', f'{len(raw.data)} bytes of data, the header says {size}')


def _check_size(width: int, height: int, size: int, max_bytes: int) -> None:
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise ImageError('size', f'{width}x{height} pixels are no picture')
    if size > max_bytes:
        raise ImageError('too_large', f'{width}x{height} pixels are more than {max_bytes} bytes')


def _rows(raw: RawImage, encoding: _Encoding) -> int:
    return raw.height * encoding.rows_per_two // 2


def _pixels(raw: RawImage, encoding: _Encoding) -> NDArray:
    """Return (rows, w) or (rows, w, channels) without padding, in native byte order."""
    rows = _rows(raw, encoding)
    row_bytes = raw.width * encoding.channels * encoding.bytes_per_channel
    padded = np.frombuffer(raw.data, dtype=np.uint8).reshape(rows, raw.step)
    pixels = np.ascontiguousarray(padded[:, :row_bytes])
    if encoding.bytes_per_channel > 1:
        kind = 'u2' if encoding.bytes_per_channel == 2 else 'f4'
        pixels = pixels.view(('>' if raw.is_bigendian else '<') + kind)
        return pixels.astype(pixels.dtype.newbyteorder('='), copy=False)
    if encoding.channels > 1:
        return pixels.reshape(rows, raw.width, encoding.channels)
    return pixels


def _compressed_size(image_format: str, data: bytes) -> tuple[int, int]:
    """Return (width, height) from the file's header; raises ImageError."""
    if data.startswith(b'\x89PNG\r\n\x1a\n'):
        return _png_size(data)
    if data.startswith(b'\xff\xd8\xff'):
        return _jpeg_size(data)
    raise ImageError('encoding', f'format {image_format[:32]!r} holds neither JPEG nor PNG')


def _png_size(data: bytes) -> tuple[int, int]:
    """
    Walk the chunks of a PNG to its end; every checksum must be right.

    OpenCV allocates what a chunk's length says before it looks whether that much is there.
    """
    position, kind = 8, b''
    while position + 12 <= len(data) and kind != b'IEND':
        end = position + 12 + int.from_bytes(data[position : position + 4], 'big')
        kind = data[position + 4 : position + 8]
        checksum = int.from_bytes(data[end - 4 : end], 'big')
        is_first = position == 8
        if (
            end > len(data)
            or is_first != (kind == b'IHDR')
            or zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum
        ):
            raise ImageError('corrupt', f'PNG of {len(data)} bytes is damaged')
        position = end
    if kind != b'IEND':
        raise ImageError('corrupt', f'PNG of {len(data)} bytes is truncated')
    return int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the segments of a JPEG to its frame header (ISO 10918-1, B.2)."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        length = int.from_bytes(data[position + 2 : position + 4], 'big')
        # SOF0 to SOF15 but for the tables DHT (C4), JPG (C8) and DAC (CC).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if data.find(b'\xff\xd9', position) < 0:
                break
            height = int.from_bytes(data[position + 5 : position + 7], 'big')
            return int.from_bytes(data[position + 7 : position + 9], 'big'), height
        # A fill byte (FF) may stand before a marker.
        position += 1 if marker == 0xFF else 2 + length
    raise ImageError('corrupt', f'JPEG of {len(data)} bytes is truncated')
