"""Attention as weights, colours and pictures."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from vla_ros.pipeline import attention as looks


def spot(row: int, column: int, shape=(24, 24)) -> np.ndarray:
    weights = np.zeros((1, *shape))
    weights[0, row, column] = 1.0
    return weights


def test_the_tokens_are_summed_and_the_weights_sum_to_one():
    attention = np.concatenate([spot(2, 3), 3 * spot(5, 6)])
    weights = looks.cell_weights(attention)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[2, 3] == pytest.approx(0.25)
    assert weights[5, 6] == pytest.approx(0.75)


def test_a_fine_grid_is_summed_in_blocks_and_keeps_its_weight_in_place():
    weights = looks.cell_weights(spot(999, 0, shape=(1000, 500)))
    assert weights.size <= looks.MAX_CELLS
    assert weights[-1, 0] == 1.0


def test_without_weight_anywhere_it_is_uniform():
    assert looks.cell_weights(np.zeros((2, 3, 4))) == pytest.approx(np.full((3, 4), 1 / 12))


@pytest.mark.parametrize('shape', [(24, 24), (0, 24, 24), (1, 2, 3, 4)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match='tokens, rows, columns'):
        looks.cell_weights(np.ones(shape))


grids = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=20),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(grids)
def test_whatever_the_attention_holds_everything_is_bounded_and_finite(attention):
    weights = looks.cell_weights(attention)
    assert weights.size <= looks.MAX_CELLS
    assert weights.sum() == pytest.approx(1.0)
    assert 0.0 <= looks.entropy(weights) <= 1.0
    rgba = looks.colours(looks.relative(weights))
    assert ((rgba >= 0.0) & (rgba <= 1.0)).all()
    row, column = looks.peak(weights)
    assert -1e-9 <= row <= weights.shape[0] - 1 + 1e-9
    assert -1e-9 <= column <= weights.shape[1] - 1 + 1e-9
    picture = looks.overlay(np.zeros((6, 8, 3), np.uint8), weights, min_side_px=12)
    assert picture.shape == (12, 16, 3)
    assert picture.dtype == np.uint8


def test_entropy_is_zero_on_one_cell_and_one_when_uniform():
    assert looks.entropy(looks.cell_weights(spot(1, 1))) == 0.0
    assert looks.entropy(looks.cell_weights(np.ones((1, 5, 5)))) == pytest.approx(1.0)
    assert looks.entropy(looks.cell_weights(np.ones((1, 1, 1)))) == 0.0


def test_the_peak_lies_between_cells_that_share_the_weight():
    attention = spot(5, 6) + spot(5, 7)
    assert looks.peak(looks.cell_weights(attention)) == pytest.approx((5.0, 6.5))


def test_heavier_cells_are_brighter_and_more_opaque():
    rgba = looks.colours(np.linspace(0.0, 1.0, 50))
    luminance = rgba[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luminance) > 0.0).all()
    assert (np.diff(rgba[:, 3]) > 0.0).all()
    assert looks.colours(np.nan).tolist() == looks.colours(0.0).tolist()


def test_the_overlay_heats_the_peak_and_leaves_the_rest():
    image = np.full((96, 96, 3), 50, np.uint8)
    picture = looks.overlay(image, looks.cell_weights(spot(6, 18)))
    assert picture.shape == (384, 384, 3)
    assert picture[104, 296].min() > 100
    assert (picture[300, 50] == 50).all()
