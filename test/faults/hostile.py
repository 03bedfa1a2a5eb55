"""What nobody should send: images, words and bytes from a seeded generator."""

from __future__ import annotations

import numpy as np

from vla_ros.pipeline import image as images
from vla_ros.pipeline.image import RawImage

EXTREMES = (0, 1, 2, 3, 7, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1)
PIECES = (
    *('pick up', 'the red block', 'stop', 'STOP', ' ', '\t', '\n', '\r\n', '\0', '\x1b[2J'),
    *('\x1b]0;owned\x07', '\x08', '\x7f', '\x85', '\u200b', '\u202e', '\u2066', '\ufeff'),
    *('\ufffd', '\ud800', '\udfff', '\U000e0001', '🤖', '👩\u200d🚀', 'e\u0301', 'é', 'ß', 'İ'),
    *('拿起红色方块', 'возьми красный куб', 'خذ المكعب', 'קח', 'लाल', '赤', '빨간', 'ﬁ', '½', '①'),
    *('a' * 600, 'é' * 300, '\u0301' * 200, '${jndi:ldap://x}', '$(reboot)', '; rm -rf /'),
    *('../../etc/passwd', '%s%n', '{"max_speed_m_s": 9}', '<|system|>', "' OR 1=1", '\\', '"'),
)


def hostile_image(rng: np.random.Generator) -> RawImage:
    """Return a frame whose header lies, or, now and then, does not."""
    encodings = [*images.COLOUR_ENCODINGS, '', 'RGB8', 'rgb8 ', '32FC1', 'jpeg', 'rgb8\0', '64FC3']
    encoding = str(rng.choice(encodings)) if rng.random() < 0.8 else 'rgb8'
    width, height = (int(2 * rng.integers(1, 12)) for _ in range(2))
    step, size = 3 * width, 3 * width * height
    for _ in range(int(rng.integers(3))):
        kind, value = int(rng.integers(5)), int(rng.choice(EXTREMES))
        width = value if kind == 0 else width
        height = value if kind == 1 else height
        step = value if kind == 2 else step
        size = min(value, 100_000) if kind == 3 else size
        size = max(0, size + int(rng.integers(-9, 10))) if kind == 4 else size
    data = memoryview(rng.bytes(min(size, 200_000)))
    return RawImage(width, height, encoding, step, bool(rng.integers(2)), data)


def hostile_text(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.6:
        return ''.join(str(rng.choice(PIECES)) for _ in range(rng.integers(1, 8)))
    if kind < 0.9:
        points = rng.integers(0, 0x110000, size=int(rng.integers(0, 40)))
        return ''.join(map(chr, points))
    return rng.bytes(int(rng.integers(0, 80))).decode('utf-8', 'replace')


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return damaged bytes: cut, flipped, zeroed, repeated, shuffled or with a tail."""
    kind, n = int(rng.integers(8)), len(data)
    i, j = sorted(int(v) for v in rng.integers(0, n, size=2))
    if kind == 0:
        return data[:i]
    if kind == 1:
        at = int(rng.integers(n))
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
    if kind == 2:
        return data[:i] + bytes(j - i) + data[j:]
    if kind == 3:
        return data[:i] + data[j:] if j > i else data[:-1]
    if kind == 4:
        return data[:i] + data[i:j] + data[i:]
    if kind == 5:
        return data + rng.bytes(int(rng.integers(1, 100)))
    if kind == 6:
        return data[:i] + rng.bytes(max(1, j - i)) + data[j:]
    return rng.bytes(n)
