"""What all robots of the benchmarks see and say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Pose
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import sample_scene

_OBJECT = 'red block'
#: A robot that always sees the same picture never gets it, so it goes on trying.
COMMAND = f'pick up the {_OBJECT}'


def picture_of_table(size: tuple[int, int]) -> tuple[NDArray[np.uint8], Pose]:
    """Return a picture of ``size`` (width, height) with what is asked for, and the hand's pose."""
    table = TabletopEnv(size)
    table.reset(scene=sample_scene(np.random.default_rng(0), (_OBJECT,)))
    return table.render(), table.end_effector
