import numpy as np
import pytest

from vla_ros.evaluation.disturbances import DISTURBANCES, DROPPED_S, undisturbed

STATE = np.arange(8, dtype=np.float32)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def disturbed(name, image, time_s=0.0):
    return DISTURBANCES[name](np.random.default_rng(1))(time_s, image, STATE)


def test_nothing_is_changed_undisturbed(image):
    seen, state = undisturbed(0.0, image, STATE)
    assert seen is image
    assert state is STATE


@pytest.mark.parametrize(
    'name', [n for n in DISTURBANCES if n not in ('camera dropped', 'no state')]
)
def test_a_picture_is_changed_in_a_copy_and_the_state_is_not(name, image):
    before = image.copy()
    seen, state = disturbed(name, image)
    assert (seen.shape, seen.dtype) == (image.shape, np.uint8)
    assert (seen != image).any()
    np.testing.assert_array_equal(image, before)
    assert state is STATE


def test_a_brighter_picture_is_clipped(image):
    seen, _ = disturbed('brighter', np.full_like(image, 250))
    assert (seen == 255).all()


def test_a_fifth_of_the_picture_is_hidden_at_one_place(image):
    disturb = DISTURBANCES['20 % occluded'](np.random.default_rng(1))
    dark = np.zeros_like(image)
    first, later = (disturb(time_s, dark, STATE)[0] for time_s in (0.0, 1.0))
    assert (first > 0).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(first, later)


def test_noise_differs_from_picture_to_picture(image):
    disturb = DISTURBANCES['image noise'](np.random.default_rng(1))
    first, later = (disturb(time_s, image, STATE)[0] for time_s in (0.0, 0.1))
    assert (first != later).any()


def test_there_is_no_picture_while_the_camera_is_gone(image):
    start_s, end_s = DROPPED_S
    times = (start_s - 0.1, start_s, end_s - 0.1, end_s)
    assert [disturbed('camera dropped', image, t) is None for t in times] == [0, 1, 1, 0]


def test_without_state_a_unit_quaternion_is_left(image):
    _, state = disturbed('no state', image)
    assert not state[:3].any()
    assert np.linalg.norm(state[3:7]) == 1.0
