"""Hiding what a policy looks at."""

import numpy as np
import pytest

from vla_ros.evaluation.deletion import delete, heaviest, hidden
from vla_ros.interfaces import (
    ActionChunk,
    EncodedCommand,
    Observation,
    PolicyResult,
    POSE_CHANNELS,
)


class GoesToTheBrightest:
    """Its last position is the brightest pixel, in cells of 4 pixels."""

    def infer(self, observation):
        image = observation.images[0].sum(axis=2)
        row, column = np.unravel_index(image.argmax(), image.shape)
        values = np.zeros((2, 7))
        values[-1, :2] = row / 4.0, column / 4.0
        chunk = ActionChunk(0, 1, 'base_link', POSE_CHANNELS, values, 0.1)
        return PolicyResult(chunk, np.zeros((1, 24, 24), np.float32), np.ones(1, np.float32))

    def reset(self):
        pass


def seen(row=40, column=80):
    images = np.full((1, 96, 96, 3), 20, np.uint8)
    images[0, row : row + 4, column : column + 4] = 250
    command = EncodedCommand('go', 1, np.ones((1, 4), np.float32))
    return Observation(0, images, np.zeros(8, np.float32), command)


def weights(row, column):
    made = np.full((24, 24), 1e-6)
    made[row - 1 : row + 2, column - 1 : column + 3] = 1.0
    return made


def test_the_heaviest_cells_are_found():
    assert np.argwhere(heaviest(np.array([[1.0, 3.0], [4.0, 2.0]]), 2)).tolist() == [
        [0, 1],
        [1, 0],
    ]


def test_hidden_cells_take_the_mean_colour_and_others_stay():
    cells = np.zeros((24, 24), bool)
    cells[10, 20] = True
    before, after = seen(), hidden(seen(), cells)
    assert (after.images[0, 40:44, 80:84] == 20).all()
    untouched = np.kron(~cells, np.ones((4, 4), bool))
    assert (after.images[0][untouched] == before.images[0][untouched]).all()


def test_hiding_where_it_looks_changes_the_action_and_elsewhere_does_not():
    true = delete(GoesToTheBrightest(), seen(), weights(10, 20), np.random.default_rng(0))
    assert true.attended_m > 5.0
    assert true.elsewhere_m == pytest.approx(0.0)


def test_a_map_that_is_not_true_of_the_policy_is_found_out():
    false = delete(GoesToTheBrightest(), seen(), weights(4, 4), np.random.default_rng(0))
    assert false.attended_m == pytest.approx(0.0)
