import sys
import types

import numpy as np
import pytest
from sensor_msgs.msg import Image

from vla_ros.nodes.codec import choose_decoder, cv_bridge_decoder, opencv_decode
from vla_ros.pipeline.image import COLOUR_ENCODINGS, ImageError

pytestmark = pytest.mark.ros

PIXEL_BYTES = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, '8UC3': 3, '8UC4': 4}
PIXEL_BYTES |= {'mono16': 2, '16UC1': 2, 'yuv422': 2, 'uyvy': 2, 'yuv422_yuy2': 2, 'yuyv': 2}


def image(encoding, pad=0):
    step = 12 * PIXEL_BYTES.get(encoding, 1) + pad
    rows = 12 if encoding in ('nv12', 'nv21') else 8
    data = np.random.default_rng(0).integers(0, 256, rows * step, dtype=np.uint8)
    return Image(width=12, height=8, encoding=encoding, step=step, data=data.tobytes())


def install_cv_bridge(monkeypatch, imgmsg_to_cv2):
    module = types.ModuleType('cv_bridge')
    module.CvBridge = type('CvBridge', (), {'imgmsg_to_cv2': staticmethod(imgmsg_to_cv2)})
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)


def broken_numpy_abi(message, encoding):
    raise AttributeError('_ARRAY_API not found')


def forgets_to_swap(message, encoding):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


@pytest.mark.parametrize('imgmsg_to_cv2', [broken_numpy_abi, forgets_to_swap])
def test_a_cv_bridge_that_does_not_work_is_not_used(monkeypatch, imgmsg_to_cv2):
    install_cv_bridge(monkeypatch, imgmsg_to_cv2)
    assert choose_decoder()[0] == 'OpenCV'


def test_a_cv_bridge_that_works_gets_what_it_reads_rightly_and_nothing_else(monkeypatch):
    seen = []

    def imgmsg_to_cv2(message, encoding):
        seen.append((message.encoding, message.step))
        return opencv_decode(message, 10_000)

    install_cv_bridge(monkeypatch, imgmsg_to_cv2)
    name, decode = choose_decoder()
    seen.clear()
    for message in (image('bgr8'), image('bgr8', pad=3), image('8UC3'), image('nv12')):
        assert decode(message, 10_000).shape == (8, 12, 3)
    assert (name, seen) == ('cv_bridge', [('bgr8', 36)])


def test_whatever_cv_bridge_raises_rejects_the_frame(monkeypatch):
    def imgmsg_to_cv2(message, encoding):
        if message.width == 1:
            return np.array([[[3, 2, 1]]])
        raise TypeError('buffer is too small')

    install_cv_bridge(monkeypatch, imgmsg_to_cv2)
    with pytest.raises(ImageError, match='buffer is too small'):
        choose_decoder()[1](image('bgr8'), 10_000)


def test_the_decoder_is_named_and_decodes():
    name, decode = choose_decoder()
    assert name in ('cv_bridge', 'OpenCV')
    assert decode(image('bgr8'), 10_000).shape == (8, 12, 3)


def test_the_decoder_checks_the_header_first():
    _, decode = choose_decoder()
    message = image('rgb8')
    message.height = 2**32 - 1
    with pytest.raises(ImageError):
        decode(message, 10_000)


def test_cv_bridge_and_our_codec_agree_on_every_encoding():
    decode = cv_bridge_decoder()
    if decode is None:
        pytest.skip('cv_bridge does not import here')
    for message in [image(encoding, pad) for encoding in COLOUR_ENCODINGS for pad in (0, 1)]:
        ours = opencv_decode(message, 10_000)
        np.testing.assert_allclose(decode(message, 10_000), ours, atol=1, err_msg=message.encoding)
