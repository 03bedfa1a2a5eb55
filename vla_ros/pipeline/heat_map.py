"""
The picture of what the policy sees: the frame under its heat map, the words of the command below.

For whatever shows pictures: RViz, films, reports.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.pipeline.attention import colours, overlay
from vla_ros.pipeline.look import Look

Picture = NDArray[np.uint8]

# Under the picture, in shares of its width: legible where the picture is 224 pixels wide.
_LINES = 2
_LINE, _NOTE, _MARGIN = 0.105, 0.075, 0.02
_FONT = cv2.FONT_HERSHEY_DUPLEX
_WORD_PX, _SHARE_PX, _NOTE_PX = 0.042, 0.03, 0.034  # heights of capital letters
_PAPER, _INK, _FAINT, _WARNING = (18, 18, 22), (245, 245, 242), (170, 170, 176), (255, 176, 64)


def picture(image: Picture, look: Look, source: str = 'attention') -> Picture:
    """
    Return the frame (h, w, 3) under its heat map, with the words and their shares below.

    The word that is shown is framed. ``source`` says what the map is. Of many words the lightest
    are left out, and told by their number.
    """
    heated = overlay(image, look.weights)
    width = heated.shape[1]
    strip = np.full((strip_height_px(width), width, 3), _PAPER, np.uint8)
    lines, left_out = _lines_of(look, width)
    for line, words in enumerate(lines):
        x, y = round(_MARGIN * width), round((line * _LINE + 0.5 * _MARGIN) * width)
        for index in words:
            x += _draw_word(strip, x, y, look, index)
    more = f' (+{left_out} words)' if left_out else ''
    _draw_note(strip, f'{source}: {look.title}{more}', look)
    return np.concatenate([heated, strip])


def strip_height_px(width_px: int) -> int:
    """Return the height of what ``picture`` adds below: the same for every command."""
    return round((_LINES * _LINE + _NOTE + _MARGIN) * width_px)


def _lines_of(look: Look, width: int) -> tuple[list[list[int]], int]:
    """Return the indices of the words in each line, and how many words found no place."""
    by_weight = sorted(
        range(len(look.words)), key=lambda i: (i != look.chosen, -look.shares[i], i)
    )
    for count in range(len(by_weight), -1, -1):
        lines = _wrapped(look, sorted(by_weight[:count]), width)
        if len(lines) <= _LINES:
            return lines, len(by_weight) - count
    return [], len(by_weight)


def _wrapped(look: Look, indices: Sequence[int], width: int) -> list[list[int]]:
    lines: list[list[int]] = []
    x = math.inf
    for index in indices:
        word_width = _word_width(look.words[index].text, width)
        if x + word_width > (1.0 - _MARGIN) * width:
            lines.append([])
            x = _MARGIN * width
        lines[-1].append(index)
        x += word_width
    return lines


def _draw_word(strip: Picture, x: int, y: int, look: Look, index: int) -> int:
    """Draw a word on the colour of its share, the share below it; return the width taken."""
    width = strip.shape[1]
    word, share = _ascii(look.words[index].text), look.shares[index]
    taken = _word_width(word, width)
    right, middle = x + taken - round(0.01 * width), y + round(0.062 * width)
    colour = 255.0 * colours(share / max(look.shares.max(), 1e-9))[:3]
    box = (x, y), (right, middle)
    cv2.rectangle(strip, *box, [int(c) for c in colour], -1)
    if index == look.chosen:
        cv2.rectangle(strip, *box, _INK, 2)
    is_bright = colour @ (0.2126, 0.7152, 0.0722) > 128
    at = x + round(0.01 * width), y + round(0.05 * width)
    _write(strip, word, at, _WORD_PX, _PAPER if is_bright else _INK)
    below = x + round(0.01 * width), middle + round(0.036 * width)
    _write(strip, f'{100 * share:.0f}%', below, _SHARE_PX, _FAINT)
    return taken


def _draw_note(strip: Picture, text: str, look: Look) -> None:
    height, width = strip.shape[:2]
    base = height - round(0.025 * width)
    _write(strip, text, (round(_MARGIN * width), base), _NOTE_PX, _FAINT)
    spread = f'{"DIFFUSE" if look.is_diffuse else "spread"} {look.spread:.2f}'
    left = width - round(_MARGIN * width) - _text_width(spread, _NOTE_PX * width)
    cv2.rectangle(strip, (left - 4, height - round(_NOTE * width)), (width, height), _PAPER, -1)
    _write(strip, spread, (left, base), _NOTE_PX, _WARNING if look.is_diffuse else _FAINT)


def _write(
    strip: Picture, text: str, at: tuple[int, int], size: float, rgb: tuple[int, int, int]
) -> None:
    scale = _scale(size * strip.shape[1])
    cv2.putText(strip, _ascii(text), at, _FONT, scale, rgb, 1, cv2.LINE_AA)


def _word_width(word: str, width: int) -> int:
    widest = max(
        _text_width(_ascii(word), _WORD_PX * width), _text_width('100%', _SHARE_PX * width)
    )
    return widest + round(0.03 * width)


def _text_width(text: str, size_px: float) -> int:
    return int(cv2.getTextSize(text, _FONT, _scale(size_px), 1)[0][0])


def _scale(size_px: float) -> float:
    return float(cv2.getFontScaleFromHeight(_FONT, max(round(size_px), 1)))


def _ascii(text: str) -> str:
    """Return what the font of OpenCV has."""
    return text.encode('ascii', 'replace').decode('ascii')
