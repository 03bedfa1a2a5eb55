"""What may go wrong with what a policy is given, each as strong as on a bad day."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
State = NDArray[np.float32]

#: From the time (s), the picture (h, w, 3) and the state (8,) to what the policy is given; None
#: stands for no picture.
Disturb = Callable[[float, Picture, State], tuple[Picture, State] | None]

NOISE_SIGMA = 20.0
BLUR_SIGMA = 0.01  # of the width
OCCLUDED_SHARE = 0.2
#: The camera gives nothing from the one to the other time.
DROPPED_S = (1.0, 1.5)

#: The disturbance in which the policy is told a false state, the controller the true one.
NO_STATE = 'no state'
#: In place of a state: at the base, gripper pointing down and open.
_NO_STATE = np.array([0, 0, 0, 1, 0, 0, 0, 0], np.float32)


def undisturbed(time_s: float, image: Picture, state: State) -> tuple[Picture, State] | None:
    return image, state


def _noise(rng: np.random.Generator) -> Disturb:
    return lambda _, image, state: (
        _bytes(image + rng.normal(0.0, NOISE_SIGMA, image.shape)),
        state,
    )


def _blur(rng: np.random.Generator) -> Disturb:
    return lambda _, image, state: (
        np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR_SIGMA * image.shape[1]), np.uint8),
        state,
    )


def _times(gain: float) -> Callable[[np.random.Generator], Disturb]:
    return lambda _: lambda _, image, state: (_bytes(gain * image.astype(np.float32)), state)


def _occlusion(rng: np.random.Generator) -> Disturb:
    """Hide a square of the picture, at one place for the whole episode, behind grey."""
    top, left = rng.random(2)

    def see(_: float, image: Picture, state: State) -> tuple[Picture, State]:
        height, width = image.shape[:2]
        side = round((OCCLUDED_SHARE * height * width) ** 0.5)
        y, x = round(top * (height - side)), round(left * (width - side))
        hidden = image.copy()
        hidden[y : y + side, x : x + side] = 128
        return hidden, state

    return see


def _dropped(rng: np.random.Generator) -> Disturb:
    start_s, end_s = DROPPED_S
    return lambda time_s, image, state: None if start_s <= time_s < end_s else (image, state)


def _stateless(rng: np.random.Generator) -> Disturb:
    return lambda _, image, state: (image, _NO_STATE)


def _bytes(image: NDArray[np.floating]) -> Picture:
    return np.clip(image, 0.0, 255.0).astype(np.uint8)


#: Makes the disturbance of one episode, by name.
DISTURBANCES: dict[str, Callable[[np.random.Generator], Disturb]] = {
    'image noise': _noise,
    'blur': _blur,
    'darker': _times(0.5),
    'brighter': _times(1.5),
    '20 % occluded': _occlusion,
    'camera dropped': _dropped,
    NO_STATE: _stateless,
}
