import cv2
import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.interfaces import CameraModel
from vla_ros.pipeline.image import (
    check_header,
    COLOUR_ENCODINGS,
    decode_compressed,
    decode_rgb,
    depth_m,
    fit,
    ImageError,
    RawImage,
)

MAX_BYTES = 1_000_000
# Flat areas, so that shared chroma and demosaicing lose nothing away from the borders.
RGB = np.zeros((16, 24, 3), np.uint8)
RGB[:, :8] = (200, 30, 40)
RGB[:, 8:16] = (20, 180, 60)
RGB[:, 16:] = (40, 60, 220)
GREY = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)


def raw(pixels, encoding, *, height=16, width=24, pad=0, is_bigendian=False):
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    return RawImage(width, height, encoding, rows.shape[1], is_bigendian, memoryview(rows.ravel()))


def mosaic(pattern):
    colour = {'r': 0, 'g': 1, 'b': 2}
    out = np.empty(RGB.shape[:2], np.uint8)
    for i, c in enumerate(pattern):
        out[i // 2 :: 2, i % 2 :: 2] = RGB[i // 2 :: 2, i % 2 :: 2, colour[c]]
    return out


def yuv422(order):
    yuv = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV)
    out = np.empty((16, 24, 2), np.uint8)
    luma, chroma = (1, 0) if order == 'uyvy' else (0, 1)
    out[..., luma] = np.clip(yuv[..., 0] * (219 / 255) + 16, 0, 255)
    i420 = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420).ravel()
    u = i420[16 * 24 :][: 8 * 12].reshape(8, 12).repeat(2, axis=0)
    v = i420[16 * 24 + 8 * 12 :].reshape(8, 12).repeat(2, axis=0)
    out[:, 0::2, chroma], out[:, 1::2, chroma] = u, v
    return out


def nv(order):
    i420 = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420).ravel()
    u, v = i420[384:480], i420[480:]
    pairs = np.stack([u, v] if order == 'nv12' else [v, u], axis=1)
    return np.concatenate([i420[:384], pairs.ravel()]).reshape(24, 24)


COLOUR_FRAMES = {
    'rgb8': RGB,
    'bgr8': RGB[..., ::-1],
    '8UC3': RGB[..., ::-1],
    'rgba8': np.dstack([RGB, np.full((16, 24), 9, np.uint8)]),
    'bgra8': np.dstack([RGB[..., ::-1], np.full((16, 24), 9, np.uint8)]),
    '8UC4': np.dstack([RGB[..., ::-1], np.full((16, 24), 9, np.uint8)]),
    'bayer_rggb8': mosaic('rggb'),
    'bayer_bggr8': mosaic('bggr'),
    'bayer_gbrg8': mosaic('gbrg'),
    'bayer_grbg8': mosaic('grbg'),
    'yuv422': yuv422('uyvy'),
    'uyvy': yuv422('uyvy'),
    'yuv422_yuy2': yuv422('yuyv'),
    'yuyv': yuv422('yuyv'),
    'nv12': nv('nv12'),
    'nv21': nv('nv21'),
}
GREY_FRAMES = {
    'mono8': GREY,
    '8UC1': GREY,
    'mono16': GREY.astype(np.uint16) * 257,
    '16UC1': GREY.astype(np.uint16) * 257,
}


def test_every_encoding_is_tested_here():
    assert set(COLOUR_ENCODINGS) == set(COLOUR_FRAMES) | set(GREY_FRAMES)


@pytest.mark.parametrize('pad', [0, 5])
@pytest.mark.parametrize('encoding', COLOUR_FRAMES)
def test_colours_survive_every_encoding_and_row_padding(encoding, pad):
    decoded = decode_rgb(raw(COLOUR_FRAMES[encoding], encoding, pad=pad), MAX_BYTES)
    assert decoded.shape == (16, 24, 3)
    for columns in (slice(2, 6), slice(10, 14), slice(18, 22)):  # away from colour borders
        error = decoded[2:-2, columns].astype(int) - RGB[2:-2, columns]
        assert np.abs(error).max() <= 6


@pytest.mark.parametrize('pad', [0, 3])
@pytest.mark.parametrize('encoding', GREY_FRAMES)
def test_grey_frames_have_three_equal_channels(encoding, pad):
    decoded = decode_rgb(raw(GREY_FRAMES[encoding], encoding, pad=pad), MAX_BYTES)
    np.testing.assert_array_equal(decoded, np.repeat(GREY[..., None], 3, axis=2))


def test_big_endian_frames_are_swapped():
    frame = raw((GREY.astype('>u2') * 257).astype('>u2'), 'mono16', is_bigendian=True)
    np.testing.assert_array_equal(decode_rgb(frame, MAX_BYTES)[..., 0], GREY)


def test_an_rgb_frame_is_not_copied():
    frame = raw(RGB, 'rgb8')
    assert np.shares_memory(decode_rgb(frame, MAX_BYTES), np.asarray(frame.data))


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'encoding': 'RGB8'}, 'encoding'),
        ({'encoding': ''}, 'encoding'),
        ({'encoding': '32FC1'}, 'encoding'),
        ({'width': 0}, 'size'),
        ({'height': 0}, 'size'),
        ({'width': 2**32 - 1}, 'size'),
        ({'height': 2**32 - 1}, 'size'),
        ({'width': 30_000, 'height': 30_000}, 'too_large'),
        ({'step': 2**32 - 1}, 'too_large'),
        ({'step': 0}, 'step'),
        ({'step': 71}, 'step'),
        ({'step': 73}, 'data'),
        ({'height': 15}, 'data'),
        ({'data': memoryview(b'')}, 'data'),
        ({'data': memoryview(bytes(16 * 72 - 1))}, 'data'),
        ({'encoding': 'uyvy', 'width': 23, 'step': 72}, 'size'),
        ({'encoding': 'bayer_rggb8', 'height': 15}, 'size'),
        ({'encoding': 'nv12'}, 'data'),
    ],
)
def test_a_lying_header_is_rejected_with_its_reason(change, reason):
    good = raw(RGB, 'rgb8')
    with pytest.raises(ImageError) as caught:
        check_header(RawImage(**{**vars(good), **change}), MAX_BYTES)
    assert caught.value.reason == reason


def test_a_small_frame_that_decodes_to_a_large_one_is_rejected():
    grey = raw(GREY, 'mono8')
    with pytest.raises(ImageError, match='more than'):
        check_header(grey, max_bytes=len(grey.data) + 1)


def test_random_headers_are_decoded_or_rejected_and_nothing_else():
    rng = np.random.default_rng(0)
    outcomes = {'decoded': 0, 'rejected': 0}
    for _ in range(3000):
        width, height = (int(v) for v in rng.integers(0, 7, 2))
        encoding = str(rng.choice(COLOUR_ENCODINGS))
        step = int(width * rng.integers(1, 5))
        data = memoryview(bytes(int(step * height * rng.choice([1.0, 1.0, 1.5, 0.5]))))
        frame = RawImage(width, height, encoding, step, bool(rng.integers(2)), data)
        try:
            assert decode_rgb(frame, MAX_BYTES).shape == (height, width, 3)
            outcomes['decoded'] += 1
        except ImageError:
            outcomes['rejected'] += 1
    assert min(outcomes.values()) > 300


def test_depth_in_millimetres_becomes_metres_and_zero_is_unknown():
    depth = depth_m(raw(np.array([[0, 1500]], np.uint16), '16UC1', height=1, width=2), MAX_BYTES)
    np.testing.assert_array_equal(depth, np.array([[np.nan, 1.5]], np.float32))


def test_depth_in_metres_stays_and_infinity_is_unknown():
    values = np.array([[0.25, np.inf]], np.float32)
    depth = depth_m(raw(values, '32FC1', height=1, width=2), MAX_BYTES)
    np.testing.assert_array_equal(depth, np.array([[0.25, np.nan]], np.float32))


def compressed(suffix):
    return cv2.imencode(suffix, RGB[..., ::-1])[1].tobytes()


@pytest.mark.parametrize(('suffix', 'tolerance'), [('.png', 0), ('.jpg', 12)])
def test_compressed_pictures_keep_their_colours(suffix, tolerance):
    decoded = decode_compressed('rgb8; compressed bgr8', compressed(suffix), MAX_BYTES)
    error = decoded[:, 2:6].astype(int) - RGB[:, 2:6]
    assert np.abs(error).max() <= tolerance


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.95])
def test_truncated_pictures_are_rejected(suffix, share):
    data = compressed(suffix)
    with pytest.raises(ImageError) as caught:
        decode_compressed('jpeg', data[: int(len(data) * share)], MAX_BYTES)
    assert caught.value.reason == 'corrupt'


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_picture_that_would_be_too_large_is_rejected_before_it_is_decoded(suffix):
    with pytest.raises(ImageError) as caught:
        decode_compressed('jpeg', compressed(suffix), max_bytes=1000)
    assert caught.value.reason == 'too_large'


def test_a_picture_of_another_kind_is_rejected():
    with pytest.raises(ImageError, match='neither JPEG nor PNG') as caught:
        decode_compressed('16UC1; compressedDepth', b'GIF89a' + bytes(100), MAX_BYTES)
    assert caught.value.reason == 'encoding'


def test_a_png_chunk_that_claims_gigabytes_is_rejected_before_opencv_allocates_them():
    data = bytearray(compressed('.png'))
    data[33:37] = (2**31 - 1).to_bytes(4, 'big')  # length of the chunk after IHDR
    with pytest.raises(ImageError) as caught:
        decode_compressed('png', bytes(data), MAX_BYTES)
    assert caught.value.reason == 'corrupt'


def test_damaged_pictures_are_decoded_or_rejected_and_nothing_else():
    rng = np.random.default_rng(0)
    for suffix in ('.png', '.jpg'):
        data = np.frombuffer(compressed(suffix), np.uint8)
        for _ in range(200):
            damaged = data.copy()
            damaged[rng.integers(len(data), size=3)] = rng.integers(256, size=3)
            try:
                assert decode_compressed('', damaged.tobytes(), MAX_BYTES).size <= MAX_BYTES
            except ImageError:
                continue


def test_fit_returns_a_frame_of_the_right_size_as_it_is():
    assert fit(RGB, 24, 16) is not None
    np.testing.assert_array_equal(fit(RGB, 24, 16), RGB)


def test_fit_crops_the_centre():
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    np.testing.assert_array_equal(fit(wide, 4, 4), np.full((4, 4, 3), 200))


def test_fit_shrinks_as_pillow_averages():
    image = pytest.importorskip('PIL.Image')
    pixels = np.random.default_rng(0).integers(0, 256, (480, 480, 3), dtype=np.uint8)
    theirs = np.asarray(image.fromarray(pixels).resize((96, 96), image.Resampling.BOX))
    assert np.abs(fit(pixels, 96, 96).astype(int) - theirs.astype(int)).max() <= 1


def test_fit_averages_what_it_shrinks():
    checks = (np.indices((8, 8)).sum(axis=0) % 2 * 200).astype(np.uint8)
    small = fit(np.repeat(checks[..., None], 3, axis=2), 2, 2)
    np.testing.assert_array_equal(small, np.full((2, 2, 3), 100))


@pytest.mark.parametrize('size', [(32, 32), (60, 24), (300, 200)])
def test_fit_moves_pixels_as_the_resized_camera_projects(size):
    camera = CameraModel(120, 80, 90.0, 90.0, 59.5, 39.5, Pose.of((0.0, 0.0, 0.0)))
    point = (0.13, -0.08, 1.0)
    u, v = camera.project(point)[0]
    frame = np.zeros((80, 120, 3), np.float32)
    rows, columns = np.indices((80, 120))
    frame += 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 18.0)[..., None]
    blob = fit(frame.astype(np.uint8), *size)[..., 0].astype(float)
    rows, columns = np.indices(blob.shape)
    centre = np.array([(columns * blob).sum(), (rows * blob).sum()]) / blob.sum()
    np.testing.assert_allclose(centre, camera.resized(*size).project(point)[0], atol=0.35)
