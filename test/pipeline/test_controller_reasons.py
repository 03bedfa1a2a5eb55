"""Why a task ends or waits: each reason is reached, and after an ending only a command moves."""

from controller_bench import Bench, START, started
import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.pipeline.reason import ENDINGS, Reason
from vla_ros.pipeline.session import State


@pytest.fixture
def running() -> Bench:
    return started()


def refused(bench: Bench, *refusals: float) -> None:
    bench.command()
    for _ in range(3):
        bench.accept(refusals=refusals)


AWAY = Pose.of((0.3, -0.2, 0.2), START.quaternion)
#: One way to each reason that is not the gate's or ends a task as one does, from a running task.
WAYS = {
    Reason.NOT_FOLLOWING: lambda b: (setattr(b, 'robot', AWAY), b.tick()),
    Reason.NO_COMMAND: lambda b: (b.controller.estop(b.now.stamp_ns), b.controller.reset(b.now)),
    Reason.STOPPED: lambda b: b.controller.stop(b.now.stamp_ns),
    Reason.CANCELLED: lambda b: b.controller.cancel(b.now.stamp_ns),
    Reason.DONE: lambda b: (setattr(b, 'policy', {'done': 1.0}), b.run(0.4)),
    Reason.COMMAND_NOT_UNDERSTOOD: lambda b: refused(b, 0.9, 0.0, 0.0),
    Reason.OBJECT_UNCLEAR: lambda b: refused(b, 0.0, 0.9, 0.0),
    Reason.OBJECT_NOT_SEEN: lambda b: refused(b, 0.0, 0.0, 0.9),
    Reason.UNCONFIRMED: lambda b: (b.__init__(confirm_before_motion=True), b.command(), b.tick()),
    Reason.SECOND_PUBLISHER: lambda b: (setattr(b.controller, 'rival', 'two'), b.tick()),
    Reason.DISABLED: lambda b: b.controller.enable(False, b.now.steady_s),
    Reason.ESTOP: lambda b: b.controller.estop(b.now.stamp_ns),
}


@pytest.mark.parametrize('reason', WAYS, ids=str)
def test_every_reason_of_a_task_is_reached(running, reason):
    WAYS[reason](running)
    assert running.controller.reason is reason


def test_no_reason_of_a_task_is_left_out():
    codes = list(Reason)
    assert list(WAYS)[1:] == codes[codes.index(Reason.NO_COMMAND) :]


@pytest.mark.parametrize('reason', sorted(set(WAYS) & set(ENDINGS)), ids=str)
def test_after_an_ending_only_a_new_command_moves_the_robot(running, reason):
    WAYS[reason](running)
    running.run(0.5)  # to rest
    rest = running.path[-1]
    running.policy = {'goal': (0.55, 0.1, 0.2)}
    running.run(0.5)
    running.controller.enable(True, running.now.steady_s)
    running.run(0.5)
    assert (running.path[-1] == rest).all()
    assert running.controller.reason is reason


def test_what_blocks_the_robot_is_pushed_once(running):
    blocked, pushes, was_pushing = running.robot, 0, False
    running.policy = {'goal': (0.55, 0.1, 0.2)}
    for i in range(500):
        if i % 5 == 0:
            running.accept(**running.policy)
        pose = running.tick().pose
        running.robot = blocked
        way_m = 0.0 if pose is None else np.linalg.norm(pose.position - blocked.position)
        pushes += way_m > 0.05 and not was_pushing
        was_pushing = way_m > 0.05
    assert pushes == 1
    assert running.seen() == (State.HOLDING, Reason.NOT_FOLLOWING)
    running.command()
    running.policy = {}
    running.run(0.2)
    assert running.seen() == (State.RUNNING, Reason.OK)
