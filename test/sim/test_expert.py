import numpy as np
import pytest

from vla_ros.evaluation.expert import run_episode
from vla_ros.geometry import Pose
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.sim.environment import (
    CONTROL_DT_S,
    GRIPPER_DOWN,
    TabletopEnv,
    WORKSPACE_MAX,
    WORKSPACE_MIN,
)
from vla_ros.sim.expert import waypoint
from vla_ros.sim.scene import Look, ObjectSpec, SceneSpec, SHAPES, ZoneSpec
from vla_ros.sim.tasks import KINDS, possible_tasks, succeeded, Task


@pytest.mark.parametrize('kind', KINDS)
def test_the_expert_does_every_kind_of_task(kind):
    episodes = [run_episode(seed, kind) for seed in range(5)]
    assert [e.success for e in episodes] == [True] * 5


def test_an_episode_depends_on_its_seed_alone():
    assert run_episode(3, 'pick') == run_episode(3, 'pick')


def test_the_advice_has_no_memory():
    env = TabletopEnv(32, seed=4)
    task = possible_tasks(env.scene, ('pick',))[0]
    first, second = waypoint(env, task), waypoint(env, task)
    np.testing.assert_array_equal(first.position, second.position)
    assert first.gripper == second.gripper


def test_when_told_of_another_object_the_expert_first_sets_down_what_it_holds():
    env = TabletopEnv(32, seed=0)
    first, second = (o.name for o in env.scene.objects[:2])
    target = env.end_effector
    for _ in range(400):
        advice = waypoint(env, Task('pick', first))
        step = advice.position - target.position
        scale = min(1.0, 0.0044 / max(float(np.linalg.norm(step)), 1e-9))
        target = Pose.of(target.position + scale * step, GRIPPER_DOWN)
        env.step(target, advice.gripper)
    assert succeeded(env, Task('pick', first))
    advice = waypoint(env, Task('pick', second))
    assert advice.gripper == 1.0
    assert advice.position[2] < 0.05
    np.testing.assert_allclose(advice.position[:2], env.end_effector.position[:2])


@pytest.mark.parametrize('offset_m', [(0.0, 0.0), (0.0, 0.03), (0.03, 0.015)])
@pytest.mark.parametrize('shape', SHAPES)
def test_what_stands_behind_an_object_is_gone_around(shape, offset_m):
    behind = ObjectSpec('blue', shape, 0.45 + offset_m[0], 0.053 + offset_m[1], 0.1)
    zones = ZoneSpec('green', 0.45, -0.2), ZoneSpec('purple', 0.32, 0.2)
    objects = ObjectSpec('red', 'block', 0.45, 0.0, 0.2), behind
    env = TabletopEnv(32)
    env.reset(scene=SceneSpec(objects, zones, (0.45, 0.06, 0.12), Look()))
    task = Task('push', 'red block', 'green')
    limiter = MotionLimiter(Limits(WORKSPACE_MIN, WORKSPACE_MAX), env.end_effector)
    while not succeeded(env, task) and env.time_s < 10.0:
        advice = waypoint(env, task)
        env.step(limiter.step(advice.pose, CONTROL_DT_S), advice.gripper)
    assert succeeded(env, task)
