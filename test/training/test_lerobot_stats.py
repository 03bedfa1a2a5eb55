import numpy as np
import pytest

from vla_ros.training.lerobot_stats import aggregate, feature_stats, image_stats


@pytest.fixture(scope='module')
def halves() -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(0).standard_normal((30, 2))
    return values[:10], values[10:]


def test_a_vector_has_a_statistic_of_each_component():
    stats = feature_stats(np.array([[1.0, 10.0], [3.0, 30.0]]))
    assert stats['mean'] == [2.0, 20.0]
    assert stats['q50'] == [2.0, 20.0]
    assert stats['count'] == [2]


def test_truth_counts_as_one():
    assert feature_stats(np.array([True, False, False, False]))['mean'] == [0.25]


def test_pictures_have_a_statistic_of_each_channel_in_0_to_1():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[..., 2] = 255
    stats = image_stats(images)
    assert stats['mean'] == [[[0.0]], [[0.0]], [[1.0]]]
    assert stats['count'] == [2]


@pytest.mark.parametrize('name', ['min', 'max', 'mean', 'std', 'count'])
def test_joined_statistics_are_those_of_all_frames(halves, name: str):
    joined = aggregate([{'x': feature_stats(half)} for half in halves])['x'][name]
    np.testing.assert_allclose(joined, feature_stats(np.concatenate(halves))[name])


def test_joined_quantiles_are_weighted_by_frames():
    short, long = feature_stats(np.zeros(1)), feature_stats(np.ones(3))
    assert aggregate([{'x': short}, {'x': long}])['x']['q50'] == [0.75]
