import pytest

from vla_ros.evaluation.judging import RefusalJudge, TaskJudge, WATCH_S
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State

RUNNING = State.RUNNING, Reason.OK
DONE = State.SUCCEEDED, Reason.DONE


def watch(judge, *steps):
    """Show the judge (time, holds, status) until it says that it is over; return when."""
    for time_s, holds, status in steps:
        if judge.observe(time_s, holds, *status, path_m=0.1 * time_s):
            return time_s
    return None


def test_a_goal_counts_when_it_has_held_for_a_while():
    judge = TaskJudge(10.0)
    steps = [(0.1 * i, i >= 10, RUNNING) for i in range(40)]
    assert watch(judge, *steps) == pytest.approx(2.0)
    assert judge.success
    assert not judge.stopped
    assert (judge.seconds, judge.path_m) == (pytest.approx(1.0), pytest.approx(0.1))


def test_a_goal_passed_through_does_not_count():
    judge = TaskJudge(3.0)
    assert watch(judge, *((0.1 * i, 10 <= i < 14, RUNNING) for i in range(40))) >= 3.0
    assert not judge.success


def test_the_robot_may_say_that_it_is_done_as_soon_as_it_is():
    judge = TaskJudge(10.0)
    assert watch(judge, (0.9, False, RUNNING), (1.0, True, RUNNING), (1.1, True, DONE)) == 1.1
    assert judge.success
    assert judge.stopped
    assert judge.seconds == 1.0


def test_a_robot_that_lingers_after_success_has_not_stopped():
    judge = TaskJudge(10.0)
    assert watch(judge, *((t, True, RUNNING) for t in (1.0, 1.5, 1.9, 2.0))) == 2.0
    assert judge.success
    assert not judge.stopped


def test_saying_done_without_success_is_a_false_stop():
    judge = TaskJudge(10.0)
    assert watch(judge, (0.5, False, RUNNING), (0.6, False, DONE)) == 0.6
    assert judge.false_stop
    assert not judge.success
    assert not judge.stopped


def test_what_is_lost_after_success_stays_a_success():
    judge = TaskJudge(10.0)
    steps = [(1.0, True, RUNNING), (1.5, True, RUNNING), (1.6, False, RUNNING), (1.8, False, DONE)]
    assert watch(judge, *steps) == 1.8
    assert judge.success
    assert not judge.false_stop


def test_a_refused_task_is_over():
    judge = TaskJudge(10.0)
    assert watch(judge, (0.3, False, (State.HOLDING, Reason.OBJECT_NOT_SEEN))) == 0.3
    assert not judge.success


def test_a_goal_reached_at_the_last_moment_may_still_hold():
    judge = TaskJudge(1.0)
    assert watch(judge, *((t, True, RUNNING) for t in (0.9, 1.2, 1.4, 1.9))) == 1.9
    assert judge.success


@pytest.mark.parametrize(
    ('reason', 'path_m', 'success'),
    [
        (Reason.OBJECT_NOT_SEEN, 0.0, True),
        (Reason.OBJECT_UNCLEAR, 0.0, True),  # whichever is right
        (Reason.COMMAND_NOT_UNDERSTOOD, 0.0, True),
        (Reason.NO_COMMAND, 0.0, True),
        (Reason.OBJECT_NOT_SEEN, 0.02, False),
        (Reason.DONE, 0.0, False),
        (Reason.OK, 0.0, False),
    ],
)
def test_a_refusal_is_to_stay_and_to_say_why(reason, path_m, success):
    judge = RefusalJudge()
    assert not judge.observe(WATCH_S - 0.1, False, State.HOLDING, reason, path_m)
    assert judge.observe(WATCH_S, False, State.HOLDING, reason, path_m)
    assert judge.success is success
