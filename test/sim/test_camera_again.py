"""What the ray camera keeps from picture to picture must not be seen in any."""

import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.sim.camera import RayCamera
from vla_ros.sim.environment import GRIPPER_DOWN, TabletopEnv


@pytest.mark.parametrize('seed', [0, 1])
def test_a_picture_after_others_is_the_same_as_the_first_of_a_camera(seed):
    env = TabletopEnv(64, seed=seed)
    target = env.scene.objects[0]
    for height_m in (0.2, 0.1, 0.02):
        for _ in range(25):
            env.step(Pose.of((target.x, target.y, height_m), GRIPPER_DOWN), 0.0)
        got = env.frame()
        look = env.scene.look
        new = RayCamera(env.camera, look.light_position, look.ambient)
        wanted = new.render(env._model, env._data)
        np.testing.assert_array_equal(got.rgb, wanted.rgb)
        np.testing.assert_array_equal(got.geom_ids, wanted.geom_ids)
        np.testing.assert_allclose(got.depth_m, wanted.depth_m, atol=1e-6)


def test_what_stands_still_is_cast_once(monkeypatch):
    env = TabletopEnv(32)
    first = env.frame()

    def fail(*args):
        raise AssertionError('cast again')

    monkeypatch.setattr('vla_ros.sim.camera._cast', fail)
    assert np.array_equal(env.frame().rgb, first.rgb)
