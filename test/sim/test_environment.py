import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import angle_between, Pose
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.sim.environment import (
    CONTROL_DT_S,
    GRIPPER_DOWN,
    TabletopEnv,
    WORKSPACE_MAX,
    WORKSPACE_MIN,
)
from vla_ros.sim.expert import gripper_down
from vla_ros.sim.scene import Look, ObjectSpec, SceneSpec, ZoneSpec


def drive(env: TabletopEnv, target: Pose, gripper: float, ticks: int) -> None:
    for _ in range(ticks):
        env.step(target, gripper)


def test_reset_puts_the_gripper_open_at_the_start_pose():
    env = TabletopEnv(32, seed=3)
    np.testing.assert_allclose(env.end_effector.position, env.scene.start, atol=1e-3)
    assert angle_between(env.end_effector.quaternion, GRIPPER_DOWN) < 0.01
    assert env.gripper_closing < 0.02


def test_a_step_lasts_one_control_tick():
    env = TabletopEnv(32)
    env.step(env.end_effector, 0.0)
    assert env.time_s == pytest.approx(CONTROL_DT_S)


@pytest.mark.parametrize('corner', [(0.25, -0.3, 0.03), (0.62, 0.28, 0.03), (0.45, 0.0, 0.4)])
def test_the_arm_reaches_the_workspace_within_two_millimetres(corner):
    env = TabletopEnv(32, seed=1)
    start = env.end_effector.position
    target = gripper_down(0.5)
    for fraction in np.linspace(0, 1, 150):
        env.step(Pose.of(start + fraction * (np.array(corner) - start), target), 1.0)
    drive(env, Pose.of(corner, target), 1.0, 50)
    np.testing.assert_allclose(env.end_effector.position, corner, atol=2e-3)
    assert angle_between(env.end_effector.quaternion, target) < 0.02


def test_the_same_commands_give_the_same_states():
    states = []
    for _ in range(2):
        env = TabletopEnv(32, seed=5)
        drive(env, Pose.of((0.45, 0.05, 0.05), GRIPPER_DOWN), 1.0, 60)
        states.append(np.concatenate([env.object_position(o.name) for o in env.scene.objects]))
    np.testing.assert_array_equal(states[0], states[1])


def test_objects_rest_where_they_were_put():
    env = TabletopEnv(32, seed=8)
    before = {o.name: env.object_position(o.name) for o in env.scene.objects}
    drive(env, env.end_effector, 0.0, 100)
    for name, place in before.items():
        np.testing.assert_allclose(env.object_position(name), place, atol=2e-3)


def test_an_unknown_object_is_a_key_error_that_names_those_present():
    env = TabletopEnv(32)
    with pytest.raises(KeyError, match=env.scene.objects[0].name):
        env.object_position('pink cube')


def test_an_unknown_renderer_is_refused():
    with pytest.raises(ConfigurationError, match='rays'):
        TabletopEnv(32, renderer='vulkan')


def test_a_closed_gripper_on_top_of_an_object_does_not_hold_it():
    objects = (
        ObjectSpec('red', 'block', 0.45, 0.0, 0.0),
        ObjectSpec('blue', 'ball', 0.35, -0.2, 0.0),
    )
    zones = ZoneSpec('green', 0.45, -0.2), ZoneSpec('purple', 0.32, 0.2)
    scene = SceneSpec(objects, zones, (0.45, 0.0, 0.12), Look())
    held = []
    for on_the_way_down in (1.0, 0.0):
        env = TabletopEnv(32)
        env.reset(scene=scene)
        limiter = MotionLimiter(Limits(WORKSPACE_MIN, WORKSPACE_MAX), env.end_effector)
        low = Pose.of((0.45, 0.0, 0.022), GRIPPER_DOWN)
        for gripper in (on_the_way_down, 1.0):
            for _ in range(100):
                env.step(limiter.step(low, CONTROL_DT_S), gripper)
        held.append(env.is_held('red block'))
    assert held == [False, True]
