from every_policy import small_lesson
import pytest
import torch

from vla_ros.models.policies.embodied import STEPS
from vla_ros.sim.expert import CARRY_M, GRASP_M, HOVER_M, LIFT_M, PLACE_M, PUSH_M, RETREAT_M
from vla_ros.sim.tasks import KINDS
from vla_ros.training.plans import plans

OPEN, HELD, CLOSED = 0.0, 0.5, 1.0
HERE, THERE = (0.4, 0.1), (0.5, -0.1)


def plan(kind, own, goal, hand, wanted, done=False):
    """Return the steps left of a task, the hand being at ``own`` and to go to ``goal``."""
    frames = small_lesson().frames
    meaning = frames.meaning._replace(task=torch.tensor([1 + KINDS.index(kind) if kind else 0]))
    state = torch.tensor([[*own, 1.0, 0.0, 0.0, 0.0, hand]])
    frames = frames._replace(
        meaning=meaning,
        state=state,
        position=torch.tensor([goal]),
        gripper=torch.tensor([wanted]),
        done=torch.tensor([float(done)]),
    )
    return [STEPS[step - 1] for step in plans(frames)[0].tolist() if step]


PUTTING = ['reach', 'grasp', 'carry', 'release', 'leave']


@pytest.mark.parametrize(
    ('kind', 'own', 'goal', 'hand', 'wanted', 'steps'),
    [
        ('point', (*HERE, 0.1), (*THERE, HOVER_M), CLOSED, CLOSED, ['reach']),
        ('pick', (*HERE, 0.1), (*THERE, HOVER_M), OPEN, OPEN, ['reach', 'grasp', 'carry']),
        ('pick', (*HERE, 0.1), (*HERE, HOVER_M), CLOSED, OPEN, ['reach', 'grasp', 'carry']),
        ('pick', (*HERE, 0.025), (*HERE, GRASP_M), OPEN, CLOSED, ['grasp', 'carry']),
        ('pick', (*HERE, 0.025), (*HERE, LIFT_M), HELD, CLOSED, ['carry']),
        ('put', (*HERE, 0.1), (*THERE, HOVER_M), OPEN, OPEN, PUTTING),
        ('put', (*HERE, 0.025), (*HERE, GRASP_M), OPEN, CLOSED, PUTTING[1:]),
        ('put', (*HERE, 0.025), (*HERE, CARRY_M), HELD, CLOSED, PUTTING[2:]),
        ('put', (*HERE, 0.03), (*THERE, PLACE_M), HELD, OPEN, PUTTING[3:]),
        ('put', (*HERE, 0.03), (*HERE, RETREAT_M), OPEN, OPEN, PUTTING[4:]),
        ('push', (*HERE, 0.1), (*THERE, HOVER_M), OPEN, CLOSED, ['reach', 'push', 'leave']),
        ('push', (*HERE, 0.022), (*THERE, PUSH_M), CLOSED, CLOSED, ['push', 'leave']),
        ('push', (*HERE, 0.022), (*HERE, RETREAT_M), CLOSED, CLOSED, ['leave']),
    ],
)
def test_a_step_is_told_from_what_the_expert_does_next(kind, own, goal, hand, wanted, steps):
    assert plan(kind, own, goal, hand, wanted) == steps


@pytest.mark.parametrize(
    ('kind', 'rest'),
    [
        ('point', ['reach']),
        ('pick', ['reach', 'grasp', 'carry']),
        ('push', ['reach', 'push', 'leave']),
        ('put', PUTTING),
    ],
)
@pytest.mark.parametrize('wanted', [OPEN, CLOSED])
def test_what_should_not_be_held_is_set_down_first(kind, rest, wanted):
    assert plan(kind, (*HERE, 0.1), (*HERE, PLACE_M), HELD, wanted) == ['set_down', *rest]


def test_a_fulfilled_task_leaves_nothing_to_do():
    assert plan('pick', (*HERE, 0.16), (*HERE, LIFT_M), HELD, CLOSED, done=True) == []


def test_asked_for_nothing_there_is_nothing_to_do():
    assert plan(None, (*HERE, 0.16), (*HERE, 0.16), OPEN, OPEN) == []


def test_nobody_plans_for_what_is_not_there():
    frames = small_lesson().frames
    assert plans(frames)[-1].tolist() == [-1] * 6
