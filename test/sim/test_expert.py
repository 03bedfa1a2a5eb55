import numpy as np
import pytest

from vla_ros.evaluation.expert import run_episode
from vla_ros.geometry import Pose
from vla_ros.sim.environment import GRIPPER_DOWN, TabletopEnv
from vla_ros.sim.expert import waypoint
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
