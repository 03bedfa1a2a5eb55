"""Attention as weights, colours, table points and pictures."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from vla_ros.geometry import Pose, quaternion_from_axis_angle
from vla_ros.interfaces import CameraModel
from vla_ros.pipeline import attention as looks

#: One metre above the table at (0.4, 0, 1), looking straight down, image up = base x.
CAMERA = CameraModel(
    width=96,
    height=96,
    fx=96.0,
    fy=96.0,
    cx=47.5,
    cy=47.5,
    base_from_camera=Pose.from_matrix(
        [[0, -1, 0, 0.4], [-1, 0, 0, 0], [0, 0, -1, 1], [0, 0, 0, 1]]
    ),
)


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


def test_the_middle_of_the_grid_looks_at_the_table_below_the_camera():
    point = looks.on_table([11.5], [11.5], (24, 24), CAMERA, 0.0)
    assert point == pytest.approx(np.array([[0.4, 0.0, 0.0]]))


def test_a_cell_lies_on_the_table_where_the_camera_sees_its_pixels():
    ball = np.array([[0.5, 0.2, 0.0]])
    u, v = CAMERA.project(ball)[0]
    cell = (v + 0.5) / 4 - 0.5, (u + 0.5) / 4 - 0.5
    assert looks.on_table([cell[0]], [cell[1]], (24, 24), CAMERA, 0.0) == pytest.approx(ball)


def test_table_cells_tile_the_view():
    centres, size = looks.table_cells((24, 24), CAMERA, 0.0)
    assert centres.shape == (576, 3)
    assert size == pytest.approx((1 / 24, 1 / 24))
    assert centres[0] == pytest.approx((0.4 + 11.5 / 24, 11.5 / 24, 0.0))


def test_cells_above_the_horizon_have_no_place_on_the_table():
    level = CameraModel(
        96, 96, 96.0, 96.0, 47.5, 47.5,
        Pose.of((0.0, 0.0, 0.5), quaternion_from_axis_angle((1, 0, 0), -np.pi / 2)),
    )  # fmt: skip
    centres, _ = looks.table_cells((24, 24), level, 0.0)
    seen = np.isfinite(centres).all(axis=1).reshape(24, 24)
    assert not seen[:12].any()
    assert seen[20:].all()


def test_a_camera_that_sees_no_table_gives_cells_without_size():
    up = CameraModel(96, 96, 96.0, 96.0, 47.5, 47.5, Pose.of((0.0, 0.0, 0.5)))
    centres, size = looks.table_cells((4, 4), up, 0.0)
    assert np.isnan(centres).all()
    assert size == (0.0, 0.0)


def test_the_overlay_heats_the_peak_and_leaves_the_rest():
    image = np.full((96, 96, 3), 50, np.uint8)
    picture = looks.overlay(image, looks.cell_weights(spot(6, 18)))
    assert picture.shape == (384, 384, 3)
    assert picture[104, 296].min() > 100
    assert (picture[300, 50] == 50).all()
