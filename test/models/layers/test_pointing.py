import torch

from vla_ros.models.layers.pointing import point_at


def test_the_point_is_where_the_best_cell_looks():
    scores = torch.full((1, 1, 6), -50.0)
    scores[0, 0, 4] = 50.0
    xy = torch.arange(12.0).view(1, 6, 2)
    cells = torch.randn(1, 6, 3)
    attention, point, features = point_at(scores, xy, cells)
    torch.testing.assert_close(attention[0], torch.eye(6)[4])
    torch.testing.assert_close(point[0], xy[0, 4])
    torch.testing.assert_close(features[0], cells[0, 4])


def test_two_equal_cells_give_the_point_between_them():
    scores = torch.tensor([[[0.0, 0.0, -90.0]]])
    xy = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [9.0, 9.0]]])
    torch.testing.assert_close(point_at(scores, xy, xy)[1], torch.tensor([[0.5, 1.0]]))


def test_rows_of_one_map_stand_together():
    scores, xy = torch.randn(2, 3, 5), torch.randn(2, 5, 2)
    together = point_at(scores, xy, xy)[1]
    torch.testing.assert_close(together[4:5], point_at(scores[1:, 1:2], xy[1:], xy[1:])[1])
