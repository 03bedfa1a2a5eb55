import numpy as np
import pytest

from vla_ros.evaluation.watching import cells_of, Gaze, WatchedEnv
from vla_ros.geometry import Pose
from vla_ros.sim.environment import CONTROL_DT_S, WORKSPACE_MIN
from vla_ros.sim.scene import ObjectSpec, SceneSpec, ZoneSpec
from vla_ros.sim.tasks import Task

GRID = (24, 24)
SCENE = SceneSpec(
    objects=(
        ObjectSpec('red', 'block', 0.40, -0.15, 0.0),
        ObjectSpec('blue', 'ball', 0.40, 0.15, 0.0),
    ),
    zones=(ZoneSpec('green', 0.52, 0.0),),
    start=(0.4, 0.0, 0.2),
)


@pytest.fixture
def env():
    env = WatchedEnv(96)
    env.reset(scene=SCENE)
    return env


def attention(env, *points):
    """Return attention (1, 24, 24) on the cells that show the points, the first heaviest."""
    weights = np.zeros((1, *GRID), np.float32)
    for number, point in enumerate(points):
        u, v = env.camera.project(point)[0]
        weights[0, int(v) // 4, int(u) // 4] = 1.0 / (number + 1)
    return weights


def looks_at(env, task, *points):
    gaze = Gaze(env, task)
    gaze.observe(env.frame(), attention(env, *points))
    assert gaze.frames == 1
    return gaze.on_object == 1


def place(env, name):
    return env.object_position(name)


def test_a_peak_on_the_named_object_counts(env):
    task = Task('pick', 'red block')
    assert looks_at(env, task, place(env, 'red block'))
    assert not looks_at(env, task, place(env, 'blue ball'))
    assert not looks_at(env, task, (0.3, 0.0, 0.0))


def test_the_heaviest_cell_counts(env):
    both = place(env, 'red block'), place(env, 'blue ball')
    assert looks_at(env, Task('pick', 'red block'), *both)
    assert not looks_at(env, Task('pick', 'blue ball'), *both)


def test_attention_on_the_tasks_own_zone_is_left_out(env):
    zone, block = (0.52, 0.0, 0.0), place(env, 'red block')
    assert looks_at(env, Task('put', 'red block', 'green'), zone, block)
    assert not looks_at(env, Task('pick', 'red block'), zone, block)
    assert not looks_at(env, Task('put', 'red block', 'green'), zone)


def test_the_approach_ends_when_the_task_has_succeeded(env):
    task = Task('point', 'red block')
    gaze = Gaze(env, task)
    x, y, _ = place(env, 'red block')
    env.reset(scene=SceneSpec(SCENE.objects, SCENE.zones, (x, y, 0.08)))
    gaze.observe(env.frame(), attention(env, (x, y, 0.02)))
    assert gaze.frames == 0


def test_the_approach_ends_when_the_object_has_moved(env):
    gaze = Gaze(env, Task('pick', 'red block'))
    moved = ObjectSpec('red', 'block', 0.41, -0.15, 0.0)
    env.reset(scene=SceneSpec((moved, SCENE.objects[1]), SCENE.zones, SCENE.start))
    gaze.observe(env.frame(), attention(env, place(env, 'red block')))
    assert gaze.frames == 0


def test_a_cell_shows_what_any_of_its_pixels_shows():
    mask = np.zeros((8, 8), bool)
    mask[3, 4] = True
    cells = cells_of(mask, (2, 4))
    assert np.argwhere(cells).tolist() == [[0, 2]]


def test_motion_is_what_the_robot_was_told(env):
    start = env.end_effector
    assert env.motion.speed_m_s == 0.0
    env.step(Pose(start.position + (0.0, 0.004, 0.0), start.quaternion), 0.0)
    env.step(Pose(start.position + (0.0, 0.005, 0.0), start.quaternion), 0.0)
    assert env.motion.speed_m_s == pytest.approx(0.004 / CONTROL_DT_S)
    assert env.motion.outside_m == 0.0
    env.step(Pose(np.array([*start.position[:2], WORKSPACE_MIN[2] - 0.02]), start.quaternion), 0)
    assert env.motion.outside_m == pytest.approx(0.02)
    env.reset(scene=SCENE)
    assert env.motion.speed_m_s == 0.0
