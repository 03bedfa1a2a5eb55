"""Questions about pictures, and the answers that the labels of the pictures give."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from vla_ros.interfaces import CameraModel
from vla_ros.models.policies.multitask import PLAIN_ANSWERS
from vla_ros.models.vision.cells import OBJECT_PLANE_M
from vla_ros.sim.scene import COLOURS, HELD_OUT_PAIRS, OBJECT_NAMES
from vla_ros.training.batches import Batch, on_table
from vla_ros.training.plans import is_holding

#: The answers, in the order of the logits of the multitask policy.
ANSWERS = (*PLAIN_ANSWERS, *COLOURS)

_UNDER = (
    'what colour is the thing under the hand?',
    'the hand is above something, which colour does it have?',
)
_THERE = ('is the {} there?', 'is there a {} on the table?')
#: Things that are asked for. Those held out are in no picture, so the answer would always be no.
_THINGS = tuple(name for name in OBJECT_NAMES if name not in HELD_OUT_PAIRS)
#: The hand is above what is so near beside it; it is above nothing if that is farther. In between
#: nobody knows, for the camera is not quite where it should be.
_ABOVE_M, _BESIDE_M = 0.03, 0.055

#: Returns the features (n, d) of each of some texts.
Encode = Callable[[list[str]], list[NDArray]]


class Asked(NamedTuple):
    """``text`` (q, n, d), ``text_mask`` (q, n) bool; ``answers`` (q, answers) 0, 1 or NaN."""

    text: Tensor
    text_mask: Tensor
    answers: Tensor


class Questions:
    """Draws questions about the pictures of a batch, as encoded text; ``camera`` is nominal."""

    def __init__(self, encode: Encode, camera: CameraModel) -> None:
        texts = [*_UNDER, *(text.format(name) for name in _THINGS for text in _THERE)]
        features = encode(texts)
        self._text = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(np.asarray(tokens, np.float32)) for tokens in features], True
        )
        lengths = torch.tensor([len(tokens) for tokens in features])
        self._mask = torch.arange(self._text.shape[1]) < lengths[:, None]
        self._camera = camera

    def draw(self, frames: Batch, random: torch.Generator) -> Asked:
        """Return two questions for each picture: what is under the hand, and what is there."""
        pictures = len(frames.image)

        def draw(below: int) -> Tensor:
            return torch.randint(below, (pictures,), generator=random)

        # Drawn where the generator is, whatever the device of the frames.
        colours, things = under_hand(frames, self._camera).cpu(), there(frames).cpu()
        # As many things that are there as that are not; some are of each in every picture.
        wanted = things == draw(2).bool()[:, None]
        thing = torch.multinomial(wanted.float() + 1e-9, 1, generator=random)[:, 0]
        question = torch.stack(
            [draw(len(_UNDER)), len(_UNDER) + len(_THERE) * thing + draw(len(_THERE))], dim=1
        ).flatten()
        is_there = things.gather(1, thing[:, None])[:, 0].long()  # no or yes
        right = torch.stack([colours, is_there], dim=1).flatten()
        answers = torch.nn.functional.one_hot(right.clamp(min=0), len(ANSWERS)).float()
        answers = answers.masked_fill((right < 0)[:, None], torch.nan)
        device = frames.state.device
        return Asked(
            *(part.to(device) for part in (self._text[question], self._mask[question], answers))
        )


def under_hand(frames: Batch, camera: CameraModel) -> Tensor:
    """
    Return (f,): the place among ``ANSWERS`` of the colour under the hand, -1 if not known.

    A hand that holds something hides what is below, and where that is.
    """
    pixels = frames.colours_px.flatten(1, 2)  # (f, colours * shapes, 2)
    places = on_table(pixels.flatten(0, 1), camera, OBJECT_PLANE_M).view(pixels.shape)
    state = frames.state[:: len(frames.state) // len(pixels)]  # (f, 8)
    beside = torch.linalg.vector_norm(places - state[:, None, :2], dim=-1).nan_to_num(torch.inf)
    nearest_m, nearest = beside.min(dim=1)
    colour = len(PLAIN_ANSWERS) + nearest // frames.colours_px.shape[2]
    above = torch.where(nearest_m < _ABOVE_M, colour, -1)
    known = torch.where(nearest_m > _BESIDE_M, ANSWERS.index('nothing'), above)
    return known.masked_fill(is_holding(state), -1)


def there(frames: Batch) -> Tensor:
    """Return (f, things) bool: which of the things that can be asked for are there."""
    pixels = frames.colours_px.flatten(1, 2)  # in the order of OBJECT_NAMES
    return pixels[:, [OBJECT_NAMES.index(name) for name in _THINGS], 0].isfinite()
