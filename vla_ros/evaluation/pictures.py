"""Contact sheets and short films of what the robot did, from RGB frames (h, w, 3) uint8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vla_ros.pipeline.heat_map import strip_height_px

Picture = NDArray[np.uint8]

_PAPER = (250, 250, 248)
_INK = (32, 36, 44)
_MARGIN_PX = 12
_LINE_PX = 22
_CAPTION_PX = 2 * _LINE_PX + 4
_GOOD, _BAD = (24, 128, 72), (190, 40, 40)


@dataclass(frozen=True, eq=False)
class Scene:
    """One command's film: ``camera`` and ``attention`` frames of equal number, in order."""

    caption: str
    outcome: str
    obeyed: bool
    camera: Sequence[Picture]
    attention: Sequence[Picture]


def contact_sheet(scenes: Sequence[Scene], columns: int = 6, tile_px: int = 176) -> Picture:
    """Return one picture: a row a command, camera above attention, time from left to right."""
    width = columns * tile_px + 2 * _MARGIN_PX
    row_height = _CAPTION_PX + 2 * tile_px + _MARGIN_PX
    sheet = Image.new('RGB', (width, max(len(scenes), 1) * row_height + _MARGIN_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, scene in enumerate(scenes):
        top = _MARGIN_PX + row * row_height
        colour = _GOOD if scene.obeyed else _BAD
        for line, (text, ink) in enumerate(((scene.caption, _INK), (scene.outcome, colour))):
            font = _fitting_font(text, width - 2 * _MARGIN_PX)
            draw.text((_MARGIN_PX, top + line * _LINE_PX), text, ink, font)
        for column, index in enumerate(spread(len(scene.camera), columns)):
            left = _MARGIN_PX + column * tile_px
            for line, frames in enumerate((scene.camera, scene.attention)):
                # Without the words below the attention: they would be too small here.
                tile = _to_width(frames[index], tile_px).crop((0, 0, tile_px, tile_px))
                sheet.paste(tile, (left, top + _CAPTION_PX + line * tile_px))
    return np.asarray(sheet)


def film_frames(scene: Scene, tile_px: int = 320) -> list[Picture]:
    """Return the film's frames: camera over the command, attention over its words."""
    frames = []
    height_px = tile_px + strip_height_px(tile_px)
    font = _fitting_font(scene.caption, tile_px - 2 * _MARGIN_PX)
    for camera, attention in zip(scene.camera, scene.attention, strict=True):
        frame = Image.new('RGB', (2 * tile_px, height_px + height_px % 2), _PAPER)
        frame.paste(_to_width(camera, tile_px), (0, 0))
        frame.paste(_to_width(attention, tile_px), (tile_px, 0))
        ImageDraw.Draw(frame).text((_MARGIN_PX, tile_px + 8), scene.caption, _INK, font)
        frames.append(np.asarray(frame))
    return frames


def write_film(path: Path, frames: Sequence[Picture], rate_hz: int) -> None:
    """Write an H.264 film; ``frames`` share one even-sided size."""
    import av  # heavy, and only films need it

    with av.open(str(path), mode='w') as container:
        stream = container.add_stream('libx264', rate=rate_hz)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '23'}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def write_animation(path: Path, frames: Sequence[Picture], rate_hz: float) -> None:
    """Write a looping GIF, small enough for a README when there are few frames."""
    # An octree keeps small things in their colours, which a median cut paints as the table.
    tree, plain = Image.Quantize.FASTOCTREE, Image.Dither.NONE
    images = [Image.fromarray(f).quantize(256, method=tree, dither=plain) for f in frames]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / rate_hz),
        loop=0,
        optimize=True,
    )


def write_picture(path: Path, picture: Picture) -> None:
    Image.fromarray(picture).save(path)


def spread(length: int, count: int) -> list[int]:
    """Return ``count`` indices from the first to the last of ``length`` frames."""
    if length == 0:
        return []
    return [int(i) for i in np.linspace(0, length - 1, count).round()]


def _to_width(picture: Picture, width_px: int) -> Image.Image:
    height_px = round(picture.shape[0] * width_px / picture.shape[1])
    return Image.fromarray(picture).resize((width_px, height_px))


def _fitting_font(text: str, width_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the largest font in which ``text`` fits and that can still be read."""
    size_px = 18
    while size_px > 8 and _font(size_px).getlength(text) > width_px:
        size_px -= 1
    return _font(size_px)


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
