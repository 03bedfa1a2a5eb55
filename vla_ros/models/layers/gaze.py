"""
Places on the table that the words look at: attention as a measurement, whatever the fusion.

A learned question to each word tells which of them name the object and which the zone; the place
of a look is the expected coordinate under the attention of its words (Levine et al. 2016). One
more look, that needs no words, is at the robot's hand: where it is seen, beside where it is
measured to be, tells how far off the camera is.
"""

from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.fusion.tokens import Tokens
from vla_ros.models.layers.pointing import neighbours, point_at

#: One look at the object that is named, one at the zone, and one at the hand.
NAMED = 2
LOOKS = NAMED + 1


class Looks(NamedTuple):
    """
    Where the object and the zone are that the words name, and then the hand.

    ``scores`` (b, LOOKS, c): a softmax over the cells makes each a map; ``points`` (b, LOOKS, 2) m
    on the table; ``tokens`` (b, LOOKS, width) of what is seen there.
    """

    scores: Tensor
    points: Tensor
    tokens: Tensor


class Gaze(nn.Module):
    """
    Attention (b, n, c) of words (b, n, width) over cells (b, c, width) to Looks.

    ``xy`` (c, 2) m is where on the table the middle of each of ``rows`` times ``columns`` cells
    looks; what is seen there, and what it is called, may mend a place by ``mend_m``: within one
    cell may be two things.
    """

    xy: Tensor
    near: Tensor

    def __init__(
        self, width: int, xy: Tensor, rows: int, columns: int, mend_m: float = 0.06
    ) -> None:
        super().__init__()
        self.mend_m = mend_m
        self.ask = nn.Linear(width, NAMED)
        # A mean over heads is never sharp; a sharper map of it has its peak where that has its.
        self.sharpness = nn.Parameter(torch.tensor(3.0))
        self.hand = nn.Linear(width, 1, bias=False)  # only differences between cells count
        self.token = nn.Linear(2 * width, width)
        self.mend = nn.Sequential(nn.GELU(), nn.Linear(width, 2))
        self.register_buffer('xy', xy, persistent=False)
        self.register_buffer('near', neighbours(rows, columns, reach=1), persistent=False)

    def forward(self, attention: Tensor, words: Tokens, cells: Tensor) -> Looks:
        """Return where the words look that are there."""
        asked = self.ask(words.tokens).float().masked_fill(~words.mask[:, :, None], -1e9)
        counts = asked.softmax(dim=1)  # (b, n, NAMED)
        seen = (counts[:, :, :, None] * attention.float()[:, :, None]).sum(dim=1)  # (b, NAMED, c)
        hand = self.hand(cells).float().transpose(1, 2)  # (b, 1, c)
        scores = torch.cat([self.sharpness * seen.clamp(min=1e-6).log(), hand], dim=1)
        called = counts.transpose(1, 2) @ words.tokens.float()
        called = torch.nn.functional.pad(called, [0, 0, 0, 1])  # (b, LOOKS, width)
        xy = self.xy.expand(attention.shape[0], -1, -1)
        # Maps are taught as maps: so, in training too, only the surroundings of the peak count.
        _, points, features = point_at(scores, xy, cells.float(), self.near)
        size = [attention.shape[0], -1]
        tokens = self.token(torch.cat([features.unflatten(0, size), called], dim=-1))
        mended = self.mend_m * torch.tanh(self.mend(tokens).float())
        return Looks(scores, points.unflatten(0, size) + mended, tokens)
