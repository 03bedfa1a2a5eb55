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
