import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.tasks import possible_tasks, succeeded, Task


def test_no_task_has_succeeded_before_the_robot_moved():
    env = TabletopEnv(32)
    for seed in range(10):
        env.reset(seed)
        assert not [t.key for t in possible_tasks(env.scene) if succeeded(env, t)]


def test_every_object_can_be_asked_for_with_every_kind_and_zone():
    env = TabletopEnv(32)
    objects, zones = len(env.scene.objects), len(env.scene.zones)
    assert len(possible_tasks(env.scene)) == 2 * objects + 2 * objects * zones


@pytest.mark.parametrize(
    ('kind', 'name', 'zone'),
    [
        ('throw', 'red block', None),
        ('pick', 'red cube', None),
        ('pick', 'red block', 'green'),
        ('put', 'red block', None),
        ('push', 'red block', 'pink'),
    ],
)
def test_an_impossible_task_is_refused(kind, name, zone):
    with pytest.raises(ConfigurationError):
        Task(kind, name, zone)


def test_the_key_names_kind_object_and_zone():
    assert Task('put', 'red block', 'green').key == 'put|red block|green'
    assert Task('pick', 'blue ball').key == 'pick|blue ball|'
