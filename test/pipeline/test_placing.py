"""Cells of the image in the world: on the plane, on the depth, and on what really is there."""

import numpy as np
import pytest

from vla_ros.geometry import Pose, quaternion_from_axis_angle
from vla_ros.interfaces import CameraModel
from vla_ros.pipeline.attention import peak
from vla_ros.pipeline.placing import place, place_cells
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import OBJECT_RADIUS_M, sample_scene

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


def test_the_middle_of_the_grid_looks_at_the_table_below_the_camera():
    point = place([11.5], [11.5], (24, 24), CAMERA, 0.0)
    assert point == pytest.approx(np.array([[0.4, 0.0, 0.0]]))


def test_a_cell_lies_on_the_table_where_the_camera_sees_its_pixels():
    ball = np.array([[0.5, 0.2, 0.0]])
    u, v = CAMERA.project(ball)[0]
    cell = (v + 0.5) / 4 - 0.5, (u + 0.5) / 4 - 0.5
    assert place([cell[0]], [cell[1]], (24, 24), CAMERA, 0.0) == pytest.approx(ball)


def test_table_cells_tile_the_view():
    centres, size = place_cells((24, 24), CAMERA, 0.0)
    assert centres.shape == (576, 3)
    assert size == pytest.approx((1 / 24, 1 / 24))
    assert centres[0] == pytest.approx((0.4 + 11.5 / 24, 11.5 / 24, 0.0))


def test_cells_above_the_horizon_have_no_place_on_the_table():
    level = CameraModel(
        96, 96, 96.0, 96.0, 47.5, 47.5,
        Pose.of((0.0, 0.0, 0.5), quaternion_from_axis_angle((1, 0, 0), -np.pi / 2)),
    )  # fmt: skip
    centres, _ = place_cells((24, 24), level, 0.0)
    seen = np.isfinite(centres).all(axis=1).reshape(24, 24)
    assert not seen[:12].any()
    assert seen[20:].all()


def test_a_camera_that_sees_no_table_gives_cells_without_size():
    up = CameraModel(96, 96, 96.0, 96.0, 47.5, 47.5, Pose.of((0.0, 0.0, 0.5)))
    centres, size = place_cells((4, 4), up, 0.0)
    assert np.isnan(centres).all()
    assert size == (0.0, 0.0)


def depth_of_table(width=96, height=96, distance_m=1.0):
    return np.full((height, width), distance_m, np.float32)


def test_with_depth_a_cell_lies_on_the_surface_that_was_measured():
    depth = depth_of_table()
    depth[:, 48:] = 0.9  # something 10 cm high on the right half
    points = place([11.5, 11.5], [2.0, 21.0], (24, 24), CAMERA, 0.0, depth)
    assert points[:, 2] == pytest.approx([0.0, 0.1])


def test_without_a_measurement_a_cell_lies_on_the_plane():
    depth = depth_of_table(distance_m=0.9)
    depth[:, 48:], depth[:, :4] = np.nan, 0.0
    points = place([11.5, 11.5, 11.5], [0.0, 12.0, 21.0], (24, 24), CAMERA, 0.02, depth)
    assert points[:, 2] == pytest.approx([0.02, 0.02, 0.02])


def test_a_few_wrong_pixels_do_not_move_a_cell():
    depth = depth_of_table()
    depth[::5, ::3] = 0.3
    centres, _ = place_cells((24, 24), CAMERA, 0.5, depth)
    assert centres[:, 2] == pytest.approx(0.0, abs=1e-6)


def test_depth_of_a_larger_and_wider_frame_is_read_where_the_crop_shows_it():
    depth = depth_of_table(640, 480)
    depth[:200] = 0.8
    row = 4 * 6.0 / 4 - 0.5  # rows of the frame: 480 / 24 = 20 to a cell
    points = place([row, 11.0], [0.0, 23.0], (24, 24), CAMERA, 0.0, depth)
    assert points[:, 2] == pytest.approx([0.2, 0.0], abs=1e-6)


@pytest.mark.parametrize('with_depth', [False, True])
def test_the_peak_on_an_object_is_within_15_mm_of_it_on_nine_of_ten_frames(with_depth):
    """Attention all over the object's pixels; from its middle, or from its surface by depth."""
    env, rng = TabletopEnv((96, 96)), np.random.default_rng(5)
    errors_m = []
    for _ in range(8):
        env.reset(scene=sample_scene(rng))
        frame = env.frame()
        for spec in env.scene.objects:
            seen = frame.geom_ids == env.object_geom(spec.name)
            if seen.sum() < 8:  # hidden behind the hand
                continue
            row, column = peak(seen.reshape(24, 4, 24, 4).sum(axis=(1, 3)).astype(float))
            depth = frame.depth_m if with_depth else None
            at = place([row], [column], (24, 24), env.camera, 0.02, depth)[0]
            from_middle_m = np.linalg.norm(at - env.object_position(spec.name))
            errors_m.append(from_middle_m - with_depth * OBJECT_RADIUS_M)
    assert len(errors_m) > 20
    assert np.quantile(errors_m, 0.9) < 0.015
