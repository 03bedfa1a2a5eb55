import pytest
import torch

from vla_ros.models.layers.pointing import ground_behind, neighbours, point_at


def test_the_point_is_where_the_best_cell_looks():
    scores = torch.full((1, 1, 6), -50.0)
    scores[0, 0, 4] = 50.0
    xy = torch.arange(12.0).view(1, 6, 2)
    cells = torch.randn(1, 6, 3)
    attention, point, features = point_at(scores, xy, cells, torch.ones(6, 6).bool())
    torch.testing.assert_close(attention[0], torch.eye(6)[4])
    torch.testing.assert_close(point[0], xy[0, 4])
    torch.testing.assert_close(features[0], cells[0, 4])


def test_two_equal_cells_give_the_point_between_them():
    scores = torch.tensor([[[0.0, 0.0, -90.0]]])
    xy = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [9.0, 9.0]]])
    torch.testing.assert_close(
        point_at(scores, xy, xy, torch.ones(3, 3).bool())[1], torch.tensor([[0.5, 1.0]])
    )


def test_what_is_far_from_the_peak_does_not_move_the_point():
    scores = torch.tensor([[[2.0, 2.0, 0.0, 1.9]]])
    xy = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [99.0, 0.0]]])
    attention, point, _ = point_at(scores, xy, xy, neighbours(1, 4, reach=1))
    torch.testing.assert_close(point, torch.tensor([[0.5, 0.0]]))
    assert float(attention.sum()) == pytest.approx(1.0)


def test_neighbours_are_counted_in_rows_and_columns():
    near = neighbours(3, 4, reach=1)
    assert near[0].nonzero().flatten().tolist() == [0, 1, 4, 5]


def test_rows_of_one_map_stand_together():
    scores, xy, near = torch.randn(2, 3, 5), torch.randn(2, 5, 2), neighbours(1, 5, reach=2)
    together = point_at(scores, xy, xy, near)[1]
    alone = point_at(scores[1:, 1:2], xy[1:], xy[1:], near)[1]
    torch.testing.assert_close(together[4:5], alone)


def test_the_ground_behind_a_point_on_the_plane_is_that_point():
    point, camera = torch.tensor([[0.45, -0.1, 0.022]]), torch.tensor([1.0, 0.0, 0.8])
    torch.testing.assert_close(ground_behind(point, camera, 0.022), point[:, :2])


def test_the_ground_behind_a_point_is_where_the_ray_through_it_ends():
    camera, ground = torch.tensor([1.0, 0.2, 0.8]), torch.tensor([0.4, -0.1, 0.022])
    half_way = (0.5 * (camera + ground))[None]
    torch.testing.assert_close(ground_behind(half_way, camera, 0.022), ground[None, :2])
