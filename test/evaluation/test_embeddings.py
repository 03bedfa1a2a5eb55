import numpy as np
import pytest

from vla_ros.evaluation.embeddings import draw_codebook, draw_embeddings, principal_plane


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_points_of_a_plane_keep_their_distances(random):
    flat = random.normal(size=(20, 2))
    turned = flat @ np.linalg.qr(random.normal(size=(5, 5)))[0][:2]
    on_plane, shares = principal_plane(turned + 7.0)
    assert shares.sum() == pytest.approx(1.0)

    def distances(points):
        return np.linalg.norm(points[:, None] - points, axis=-1)

    np.testing.assert_allclose(distances(on_plane), distances(flat))


def test_the_first_axis_is_that_of_the_largest_spread(random):
    on_plane, shares = principal_plane(random.normal(size=(500, 3)) * [1.0, 4.0, 2.0])
    assert shares == pytest.approx([16 / 21, 4 / 21], abs=0.05)
    assert on_plane.std(axis=0) == pytest.approx([4.0, 2.0], rel=0.1)


def test_the_picture_is_the_same_way_up_every_time(random):
    points = random.normal(size=(10, 3))
    shuffled = random.permutation(10)
    np.testing.assert_allclose(
        principal_plane(points[shuffled])[0], principal_plane(points)[0][shuffled]
    )


def test_points_that_are_all_the_same_lie_in_the_middle():
    on_plane, shares = principal_plane(np.ones((3, 4)))
    assert not on_plane.any()
    assert not shares.any()


@pytest.mark.parametrize('points', [np.ones((1, 3)), np.ones((3, 1)), np.ones(3)])
def test_what_has_no_plane_is_refused(points):
    with pytest.raises(ValueError, match='two of each'):
        principal_plane(points)


def test_pictures_are_drawn(random, tmp_path):
    draw_embeddings(random.normal(size=(4, 3)), ['a', 'b', 'a', 'b'], tmp_path / 'plane.png')
    draw_codebook([0.5, 0.0, 0.5], tmp_path / 'codes.png')
    assert all(p.read_bytes().startswith(b'\x89PNG') for p in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2
