"""What a command asks for, as numbers that a policy learns."""

from typing import NamedTuple

from torch import Tensor


class Meaning(NamedTuple):
    """
    What to do, for each of b commands, int64: -1 where a colour, shape or zone is left open.

    ``task`` is 0 for none, else 1 + its place among the tasks that are no refusals.
    """

    task: Tensor
    colour: Tensor
    shape: Tensor
    zone: Tensor
