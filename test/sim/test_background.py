import threading

import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.sim.background import BackgroundCamera
from vla_ros.sim.environment import GRIPPER_DOWN, TabletopEnv


def make_env():
    return TabletopEnv(24, seed=1)


class Album:
    """Collects what a background camera hands out."""

    def __init__(self, make=make_env):
        self.pictures = []
        self.changed = threading.Event()
        self.camera = BackgroundCamera(make, self._add)

    def _add(self, stamp_ns, image, camera):
        self.pictures.append((stamp_ns, image, camera))
        self.changed.set()


def test_a_picture_shows_exactly_the_state_it_was_asked_in():
    env, album = make_env(), Album()
    target = Pose.of(env.end_effector.position + (0.05, 0.05, -0.05), GRIPPER_DOWN)
    for _ in range(20):
        env.step(target, 1.0)
        album.camera.step(target, 1.0)
    album.camera.shoot(7)
    assert album.changed.wait(20)
    assert album.camera.stop(20)
    stamp_ns, image, _ = album.pictures[0]
    assert stamp_ns == 7
    np.testing.assert_array_equal(image, env.render())


def test_a_reset_changes_the_scene_and_its_camera():
    env, album = TabletopEnv(24, seed=5), Album()
    album.camera.reset(env.scene)
    album.camera.shoot(1)
    assert album.changed.wait(20)
    assert album.camera.stop(20)
    _, image, camera = album.pictures[0]
    np.testing.assert_array_equal(image, env.render())
    assert camera.base_from_camera.vector().tolist() == (
        env.camera.base_from_camera.vector().tolist()
    )


def test_only_the_newest_of_the_pictures_asked_for_is_made():
    gate = threading.Event()

    def make_late():
        gate.wait(20)
        return make_env()

    album = Album(make_late)
    for stamp_ns in (1, 2, 3):
        album.camera.shoot(stamp_ns)
    gate.set()
    assert album.changed.wait(20)
    assert album.camera.stop(20)
    assert [stamp_ns for stamp_ns, _, _ in album.pictures] == [3]
    assert album.camera.skipped == 2


def test_what_ends_the_thread_is_raised_at_the_next_picture():
    def fail():
        raise RuntimeError('no display')

    album = Album(fail)
    assert album.camera.stop(20)
    with pytest.raises(RuntimeError, match='no display'):
        album.camera.shoot(1)
