"""The policy of the example is a file that runs, and does what it is for."""

import pytest
import torch

from examples.own_policy import export
from vla_ros.evaluation.rollouts import Roller
from vla_ros.evaluation.splits import Spec, Trial
from vla_ros.pipeline.reason import Reason
from vla_ros.sim.scene import Look, ObjectSpec, SceneSpec
from vla_ros.sim.tasks import Task

SPEC = Spec('own', 'point', 0)


@pytest.fixture(scope='module')
def roller(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp('own') / 'red.pt'
    export(path)
    return Roller.load(path)


def trial(first, second, wanted):
    """Return two blocks, seen from where the policy expects the camera, and which to point at."""
    blocks = (
        ObjectSpec(first, 'block', 0.42, -0.08, 0.0),
        ObjectSpec(second, 'block', 0.5, 0.12, 0.0),
    )
    task = Task('point', f'{wanted} block') if wanted else None
    scene = SceneSpec(blocks, (), start=(0.45, 0.0, 0.2), look=Look())
    return Trial(scene, 'point at what is red', task)


@pytest.mark.parametrize('blocks', [('red', 'blue'), ('green', 'red')])
def test_it_points_at_what_is_red(roller, blocks):
    assert roller.roll(SPEC, trial(*blocks, 'red')).success


def test_it_says_that_nothing_is_red_and_does_not_move(roller):
    episode = roller.roll(SPEC, trial('green', 'blue', None))
    assert episode.success
    assert episode.reason == Reason.OBJECT_NOT_SEEN
