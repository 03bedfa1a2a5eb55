"""
The values that travel between the stages, and the Protocols at the seams.

Time is integer nanoseconds since the epoch of the clock that stamped the image, as in ROS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_ros.geometry import Array, Pose

#: The robot's frame: z = 0 is the table top, x forward, y left (REP 103).
BASE_FRAME = 'base_link'

#: Action channels of an end-effector policy, in this order at the front of every chunk.
POSE_CHANNELS = (
    'position.x',
    'position.y',
    'position.z',
    'orientation.x',
    'orientation.y',
    'orientation.z',
    'orientation.w',
)
GRIPPER_CHANNEL = 'gripper'
TERMINATION_CHANNEL = 'termination'

#: Tasks by which a policy says that it will not act: the command asks for nothing that it does;
#: it is not clear which thing or place is meant; what is meant is not in the picture.
NO_TASK = 'none'
UNCLEAR_TASK = 'unclear'
ABSENT_TASK = 'absent'
REFUSALS = (NO_TASK, UNCLEAR_TASK, ABSENT_TASK)
#: Their probabilities, as channels of a chunk; while they sum to more than the threshold, nothing
#: may start to move.
REFUSAL_CHANNELS = tuple(f'refusal.{name}' for name in REFUSALS)
REFUSAL_THRESHOLD = 0.5

#: State channels of an end-effector policy: the measured pose, then the measured gripper closing.
STATE_CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL)


@dataclass(frozen=True, eq=False)
class CameraModel:
    """
    A pinhole camera without distortion.

    ``base_from_camera`` is the pose of the optical frame (z forward, x right, y down; REP 103)
    in the robot's base frame. Pixel centres are at integer coordinates.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    base_from_camera: Pose

    def project(self, points: ArrayLike) -> Array:
        """Return pixels (n, 2) of base-frame points (n, 3); NaN for those behind the camera."""
        camera_from_base = np.linalg.inv(self.base_from_camera.matrix())
        p = np.atleast_2d(points) @ camera_from_base[:3, :3].T + camera_from_base[:3, 3]
        depth = np.where(p[:, 2] > 1e-6, p[:, 2], np.nan)
        u = self.fx * p[:, 0] / depth + self.cx
        v = self.fy * p[:, 1] / depth + self.cy
        return np.stack([u, v], axis=1)

    def rays(self, pixels: ArrayLike) -> Array:
        """Return unit directions (n, 3) in the base frame through pixels (n, 2)."""
        uv = np.atleast_2d(np.asarray(pixels, dtype=np.float64))
        d = np.stack(
            [(uv[:, 0] - self.cx) / self.fx, (uv[:, 1] - self.cy) / self.fy, np.ones(len(uv))],
            axis=1,
        )
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        return d @ self.base_from_camera.matrix()[:3, :3].T

    def on_plane(self, pixels: ArrayLike, height_m: float) -> Array:
        """Return base-frame points (n, 3) where the pixels see the plane z = ``height_m``."""
        d = self.rays(pixels)
        origin = self.base_from_camera.position
        with np.errstate(divide='ignore', invalid='ignore'):
            distance = (height_m - origin[2]) / d[:, 2]
        distance = np.where(distance > 0.0, distance, np.nan)
        return origin + distance[:, None] * d

    def resized(self, width: int, height: int) -> CameraModel:
        """Return the camera after a centre crop to the new aspect ratio and a resize."""
        scale = max(width / self.width, height / self.height)
        left = (self.width * scale - width) / 2.0
        top = (self.height * scale - height) / 2.0
        # Pixel centres are integers, so scaling happens about the corner at (-0.5, -0.5).
        return CameraModel(
            width=width,
            height=height,
            fx=self.fx * scale,
            fy=self.fy * scale,
            cx=(self.cx + 0.5) * scale - 0.5 - left,
            cy=(self.cy + 0.5) * scale - 0.5 - top,
            base_from_camera=self.base_from_camera,
        )


@dataclass(frozen=True, eq=False)
class EncodedCommand:
    """
    A command as the policy reads it.

    ``stamp_ns`` is the command's identity; ``tokens`` (n, d) float32 are its encoded tokens.
    No tokens (n = 0) means: no task, hold. ``pieces`` are the n pieces of words that were encoded,
    as the encoder read them and not as they were typed; () where nobody told.
    """

    text: str
    stamp_ns: int
    tokens: NDArray[np.float32]
    pieces: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return len(self.tokens) == 0


@dataclass(frozen=True, eq=False)
class Observation:
    """
    What a policy sees at one instant.

    ``images`` (c, h, w, 3) uint8 RGB, taken at ``stamp_ns``; ``state`` (s,) float32 in the order
    of the manifest's state channels.
    """

    stamp_ns: int
    images: NDArray[np.uint8]
    state: NDArray[np.float32]
    command: EncodedCommand


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """
    Future actions: ``values`` (k, a) float64, row i at ``stamp_ns + i * dt_s``.

    ``stamp_ns`` is the stamp of the image it was inferred from, ``command_stamp_ns`` the identity
    of the command it serves, ``frame_id`` the frame of its poses.
    """

    stamp_ns: int
    command_stamp_ns: int
    frame_id: str
    channels: tuple[str, ...]
    values: Array
    dt_s: float

    def column(self, channel: str) -> Array:
        """Return (k,), the values of one channel; raises KeyError if the chunk lacks it."""
        if channel not in self.channels:
            raise KeyError(f'chunk has no channel {channel!r}; it has {", ".join(self.channels)}')
        return self.values[:, self.channels.index(channel)]


@dataclass(frozen=True, eq=False)
class PolicyResult:
    """
    One inference: the chunk, ``attention`` (n, gh, gw) float32 and task probabilities (t,).

    Plane i of the attention is how much token i of the command looks at each image cell; all
    planes together sum to about one per query of the policy.
    """

    chunk: ActionChunk
    attention: NDArray[np.float32]
    task_probabilities: NDArray[np.float32]


class Policy(Protocol):
    """Anything that turns observations into action chunks."""

    def infer(self, observation: Observation) -> PolicyResult: ...

    def reset(self) -> None:
        """Forget everything about the episode so far."""


class TextEncoder(Protocol):
    """Anything that turns normalised text into token features (n, d) float32."""

    def encode(self, text: str) -> NDArray[np.float32]:
        """Return the features; raises ``CommandError`` for text with more tokens than fit."""

    def encode_all(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the features of each text, of a long one those of the tokens that fit."""

    def pieces(self, text: str) -> tuple[str, ...]:
        """Return what each of the n tokens stands for, for people to see."""
