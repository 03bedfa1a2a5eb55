"""
What a browser is shown at one instant, as JSON.

Everything that is not finite is left out: JSON knows no NaN, and a page must not draw it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import json
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Array, Pose
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.pipeline import attention as looks
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.look import look_at
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.words import word_plane

#: Larger pictures are made smaller before they are sent.
MAX_SIDE_PX = 480
JPEG_QUALITY = 85


@dataclass(frozen=True, eq=False)
class Sight:
    """A frame (h, w, 3), the attention (n, gh, gw) over it, and the pieces of its command."""

    image: NDArray[np.uint8]
    attention: NDArray[np.float32] | None = None
    pieces: Sequence[str] = ()


@dataclass
class View:
    """The newest of everything; a piece that is not there yet is None or empty."""

    sight: Sight | None = None
    status: Mapping[str, str] = field(default_factory=dict)
    #: Since the status was heard; the pose node tells it at least twice a second.
    status_age_s: float = math.inf
    chunk: ActionChunk | None = None
    target: Pose | None = None
    measured: Pose | None = None
    gripper: float = math.nan
    #: Ground truth, where there is a simulator.
    scene: Mapping[str, Any] | None = None
    history: Sequence[Mapping[str, str]] = ()


def hello(has_3d: bool) -> str:
    """Return what a browser is told once: colours (256 RGBA), meanings of the reasons."""
    palette = np.rint(looks.colours(np.linspace(0.0, 1.0, 256)) * 255.0).astype(np.uint8)
    reasons = {reason.value: reason.doc for reason in Reason}
    return _json(kind='hello', palette=_base64(palette), reasons=reasons, has_3d=has_3d)


def snapshot(view: View) -> str:
    """Return the view as one message."""
    sight = view.sight
    return _json(
        kind='snapshot',
        picture=None if sight is None else picture(sight.image),
        attention=None if sight is None else attention(sight),
        status=dict(view.status),
        status_age_s=_number(view.status_age_s),
        latency_ms=[_number(view.status.get(f'latency_p{p}_ms')) for p in (50, 95, 99)],
        workspace=workspace(view.status),
        chunk=[] if view.chunk is None else path(view.chunk),
        target=pose(view.target),
        measured=pose(view.measured),
        gripper=_number(view.gripper),
        scene=scene(view.scene),
        history=list(view.history),
    )


def answer(text: str, is_good: bool) -> str:
    """Return what one browser is told about what it asked for."""
    return _json(kind='answer', text=text, is_good=is_good)


def policy_crop(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the part of a frame that a ``width`` x ``height`` policy sees, as fine as it is."""
    scale = min(image.shape[1] / width, image.shape[0] / height, MAX_SIDE_PX / max(width, height))
    return fit(image, max(1, round(width * scale)), max(1, round(height * scale)))


def picture(image: NDArray[np.uint8]) -> str:
    """Return an RGB image as the data URL of a JPEG."""
    done, data = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    )
    return 'data:image/jpeg;base64,' + _base64(data) if done else ''


def attention(sight: Sight) -> dict[str, Any] | None:
    """
    Return the grid, and of all words together and of each: share and cells (uint8, row by row).

    Cells are relative to the heaviest one of the same word.
    """
    if sight.attention is None:
        return None
    look = look_at(sight.attention, sight.pieces)
    planes = looks.usable(sight.attention)
    return {
        'rows': look.weights.shape[0],
        'columns': look.weights.shape[1],
        'spread': _number(look.spread),
        'is_diffuse': look.is_diffuse,
        'cells': _cells(look.weights),
        'words': [
            {
                'text': word.text,
                'share': _number(share),
                'cells': _cells(looks.cell_weights(word_plane(word, planes)[None])),
            }
            for word, share in zip(look.words, look.shares, strict=True)
        ],
    }


def path(chunk: ActionChunk) -> list[list[float]]:
    """Return [x, y, z, gripper closing] of each row that is finite; [] for other channels."""
    if not set(POSE_CHANNELS[:3]) <= set(chunk.channels):
        return []
    columns = [chunk.column(name) for name in POSE_CHANNELS[:3]]
    has_gripper = GRIPPER_CHANNEL in chunk.channels
    columns.append(chunk.column(GRIPPER_CHANNEL) if has_gripper else np.zeros(len(columns[0])))
    rows = np.stack(columns, axis=1)
    return rows[np.isfinite(rows).all(axis=1)].round(4).tolist()


def pose(value: Pose | None) -> list[float] | None:
    """Return x, y, z, qx, qy, qz, qw, or None."""
    if value is None or not np.isfinite(value.vector()).all():
        return None
    return value.vector().round(4).tolist()


def scene(truth: Mapping[str, Any] | None) -> dict[str, dict[str, list[float]]] | None:
    """Return where the objects and zones are, of what a simulator tells."""
    if not isinstance(truth, Mapping):
        return None
    return {what: _places(truth.get(what)) for what in ('objects', 'zones')}


def workspace(status: Mapping[str, str]) -> list[list[float]] | None:
    """Return the lower and the upper corner of the box that the robot stays in, if it is told."""
    corners = [
        [_number(value) for value in status.get(f'workspace_{end}', '').split()]
        for end in ('min', 'max')
    ]
    known = [[value for value in corner if value is not None] for corner in corners]
    return known if all(len(corner) == 3 for corner in known) else None


def _places(places: Any) -> dict[str, list[float]]:
    if not isinstance(places, Mapping):
        return {}
    return {
        str(name): [v for v in map(_number, place) if v is not None]
        for name, place in places.items()
        if isinstance(place, Sequence)
    }


def _cells(weights: Array) -> str:
    return _base64(np.rint(looks.relative(weights) * 255.0).astype(np.uint8))


def _base64(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(values.tobytes()).decode('ascii')


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return round(number, 4) if math.isfinite(number) else None


def _json(**fields: Any) -> str:
    return json.dumps(fields, allow_nan=False, separators=(',', ':'))
