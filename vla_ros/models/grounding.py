"""
What a command means here: what its words may mean, weighed with what is in the picture.

'The crimson orb' may be red or purple to the reader; if only a purple ball is there it is that
one, unless red is by far the likelier meaning. How sure that is follows by Bayes' rule, for a
listener who takes it that people mostly speak of what is there (Frank & Goodman 2012).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vla_ros.models.meaning import Meaning
from vla_ros.models.text.reader import Reading


class Grounded(NamedTuple):
    """
    What b commands mean, and how sure that is.

    ``meant`` (b,): the probability that this is meant and there, if the command is a task at all.
    ``clear`` (b,): that of the likeliest meaning of the words, whatever is in the picture.
    """

    meaning: Meaning
    meant: Tensor
    clear: Tensor


def ground(
    reading: Reading,
    things: Tensor,
    zones: Tensor,
    names_zone: Tensor,
    odds: float = 3.0,
    hidden: float = 0.4,
) -> Grounded:
    """
    Return what is meant, given what is there.

    ``things`` (b, colours + 1, shapes + 1) and ``zones`` (b, colours) are probabilities that such
    a thing is in the picture, the last colour and shape being any. ``names_zone`` (tasks,) is 1
    for tasks that name a zone. Before anything is said, the odds are ``odds`` to one that a
    command is about what is there. A choice counts everything as there with a probability of
    ``hidden`` at least, so that nothing else is taken up while the hand hides what is meant.
    """
    colours, shapes = things.shape[1], things.shape[2]
    colour = reading.colour.softmax(dim=-1)[:, :colours]
    shape = reading.shape.softmax(dim=-1)[:, :shapes]
    # With both colour and shape left open, nobody knows what is meant.
    one_is_named = torch.ones_like(things)
    one_is_named[:, -1, -1] = 0.0
    said = (colour[:, :, None] * shape[:, None] * one_is_named).flatten(1)
    seen = things.flatten(1)
    thing = (said * seen.clamp(min=hidden)).argmax(dim=-1)
    zone_said = reading.zone.softmax(dim=-1)[:, : zones.shape[1]]
    zone = (zone_said * zones.clamp(min=hidden)).argmax(dim=-1)

    task = reading.task.argmax(dim=-1)
    needs_zone = names_zone[task]
    clear = said.amax(dim=-1) * (1.0 - needs_zone + needs_zone * zone_said.amax(dim=-1))
    said_seen, zone_said_seen = said * seen, zone_said * zones
    this = said_seen.gather(1, thing[:, None])[:, 0]
    anything = said_seen.sum(dim=-1)
    this_zone = zone_said_seen.gather(1, zone[:, None])[:, 0]
    this = this * (1.0 - needs_zone + needs_zone * this_zone)
    anything = anything * (1.0 - needs_zone + needs_zone * zone_said_seen.sum(dim=-1))
    colour_meant = torch.div(thing, shapes, rounding_mode='floor')
    shape_meant = thing % shapes
    return Grounded(
        Meaning(
            task,
            torch.where(colour_meant == colours - 1, -1, colour_meant),
            torch.where(shape_meant == shapes - 1, -1, shape_meant),
            zone,
        ),
        odds * this / (odds * anything + 1.0 - anything),
        clear,
    )
