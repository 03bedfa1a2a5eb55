"""
Does it matter what is attended? Hide it, hide as much elsewhere, and see what the action does.

A map that is true of the policy marks cells without which the policy acts otherwise (V. Petsiuk
et al., "RISE", 2018). What is hidden takes the mean colour of the picture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Array
from vla_ros.interfaces import Observation, Policy, POSE_CHANNELS

#: Cells that are hidden: about what an object of the tabletop covers.
HIDDEN_CELLS = 12
#: Other places at which as many cells are hidden, for comparison.
ELSEWHERE = 8


class Deletion(NamedTuple):
    """How far the end of the chunk moves, m, when cells are hidden: attended ones, and others."""

    attended_m: float
    elsewhere_m: float


def delete(
    policy: Policy, observation: Observation, weights: Array, rng: np.random.Generator
) -> Deletion:
    """
    Return what hiding the heaviest of ``weights`` (gh, gw) does to the action.

    The comparison hides cells of the very same pattern, moved to where they cover none of those,
    and is the mean over ``ELSEWHERE`` such places.
    """
    end = _end(policy, observation)
    attended = heaviest(weights, min(HIDDEN_CELLS, max(1, weights.size // 8)))
    moved = _moved(attended, rng)
    changes_m = [
        float(np.linalg.norm(_end(policy, hidden(observation, cells)) - end))
        for cells in (attended, *moved)
    ]
    return Deletion(changes_m[0], float(np.mean(changes_m[1:])))


def heaviest(weights: Array, count: int) -> NDArray[np.bool_]:
    """Return which ``count`` cells (gh, gw) weigh most."""
    cells = np.zeros(weights.size, bool)
    cells[np.argsort(weights, axis=None)[-count:]] = True
    return cells.reshape(weights.shape)


def hidden(observation: Observation, cells: NDArray[np.bool_]) -> Observation:
    """Return the observation with the ``cells`` (gh, gw) of each picture in its mean colour."""
    height, width = observation.images.shape[1:3]
    rows = np.arange(height) * cells.shape[0] // height
    columns = np.arange(width) * cells.shape[1] // width
    mask = cells[rows[:, None], columns]
    images = observation.images.copy()
    for image in images:
        image[mask] = image.reshape(-1, 3).mean(axis=0).round()
    return replace(observation, images=images)


def _moved(cells: NDArray[np.bool_], rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Return the pattern at other places that share no cell with it; fewer without room."""
    shifts = [(r, c) for r in range(cells.shape[0]) for c in range(cells.shape[1])]
    places: list[NDArray[np.bool_]] = []
    for index in rng.permutation(len(shifts)):
        moved = np.roll(cells, shifts[index], axis=(0, 1))
        if not (moved & cells).any():
            places.append(moved)
        if len(places) == ELSEWHERE:
            break
    return places


def _end(policy: Policy, observation: Observation) -> Array:
    """Return the last position (3,) of the chunk."""
    chunk = policy.infer(observation).chunk
    return np.array([chunk.column(name)[-1] for name in POSE_CHANNELS[:3]])
