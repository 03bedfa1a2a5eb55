"""The task state machine."""

import pytest

from vla_ros.pipeline.reason import GATE_ENDINGS, Reason
from vla_ros.pipeline.session import Rules, Session, State

NOW = 100_000_000_000


@pytest.fixture
def session() -> Session:
    made = Session(Rules(termination_threshold=0.5, termination_count=3, refusal_count=3))
    made.ignore_before(NOW)
    return made


@pytest.fixture
def running(session) -> Session:
    assert session.start('pick up the red block', NOW + 1, NOW + 1)
    session.gated(Reason.OK, NOW + 3)
    return session


def seen(session: Session) -> tuple[State, Reason, bool]:
    return session.state, session.reason, session.may_move


def test_it_begins_idle(session):
    assert seen(session) == (State.IDLE, Reason.NO_COMMAND, False)


def test_a_command_waits_for_its_first_action_and_then_runs(session):
    session.start('point at the ball', NOW + 1, NOW + 1)
    assert seen(session) == (State.HOLDING, Reason.NO_ACTION, True)
    session.gated(Reason.OK, NOW + 3)
    assert seen(session) == (State.RUNNING, Reason.OK, True)
    assert session.command == 'point at the ball'


def test_a_fault_holds_with_its_reason_until_it_is_over(running):
    running.gated(Reason.IMAGE_OLD, NOW + 3)
    assert seen(running) == (State.HOLDING, Reason.IMAGE_OLD, True)
    running.gated(Reason.OK, NOW + 3)
    assert running.state is State.RUNNING


def test_a_new_command_replaces_the_one_being_served(running):
    assert running.start('push the ball', NOW + 2, NOW + 2)
    assert running.serves(NOW + 2)
    assert not running.serves(NOW + 1)


def test_stop_holds(running):
    running.stop(NOW + 5)
    assert seen(running) == (State.HOLDING, Reason.STOPPED, False)
    assert not running.serves(NOW + 1)


def test_a_command_given_before_the_stop_but_arriving_after_it_is_not_obeyed(running):
    running.stop(NOW + 5)
    assert not running.start('push the ball', NOW + 4, NOW + 6)
    assert running.start('push the ball', NOW + 7, NOW + 7)


def test_a_command_from_before_the_start_is_not_obeyed(session):
    assert not session.start('push the ball', NOW - 1, NOW + 1)
    assert session.state is State.IDLE


def test_the_same_command_delivered_again_does_not_start_over(running):
    for _ in range(3):
        running.terminate(1.0)
    assert not running.start('pick up the red block', NOW + 1, NOW + 9)
    assert running.state is State.SUCCEEDED


def test_after_the_clock_jumped_back_commands_are_obeyed(running):
    running.stop(NOW + 5)
    assert running.start('push the ball', 1_000, 2_000)


def test_a_command_from_the_future_is_not_obeyed_but_one_of_a_clock_little_ahead_is(session):
    assert not session.start('push the ball', NOW + 60_000_000, NOW + 5)
    assert session.state is State.IDLE
    assert session.start('push the ball', NOW + 40_000_000, NOW + 5)


def test_a_command_from_before_a_restart_and_before_the_clock_jumped_back_is_not_obeyed():
    restarted = Session(Rules())
    restarted.ignore_before(1_000)
    assert not restarted.start('pick up the red block', NOW, 2_000)
    assert restarted.start('push the ball', 2_000, 2_000)


def test_enough_terminations_in_a_row_end_the_task(running):
    for probability in (0.9, 0.9, 0.1, 0.9, 0.9):
        running.terminate(probability)
    assert running.state is State.RUNNING
    running.terminate(0.9)
    assert seen(running) == (State.SUCCEEDED, Reason.DONE, False)
    assert running.progress == 0.9


def test_a_termination_at_the_threshold_does_not_count(running):
    for _ in range(10):
        running.terminate(0.5)
    assert running.state is State.RUNNING


def test_terminations_without_a_task_change_nothing(session):
    for _ in range(5):
        session.terminate(1.0)
    assert session.state is State.IDLE


def test_a_new_command_counts_terminations_and_progress_anew(running):
    running.terminate(0.9)
    running.terminate(0.9)
    running.start('push the ball', NOW + 2, NOW + 2)
    assert running.progress == 0.0
    running.terminate(0.9)
    assert running.serves(NOW + 2)


def test_cancel_ends_the_task_and_says_whether_there_was_one(running):
    assert running.cancel(NOW + 5)
    assert seen(running) == (State.HOLDING, Reason.CANCELLED, False)
    assert not running.cancel(NOW + 6)


def refusals(none: float, unclear: float = 0.0, absent: float = 0.0) -> dict[Reason, float]:
    reasons = (Reason.COMMAND_NOT_UNDERSTOOD, Reason.OBJECT_UNCLEAR, Reason.OBJECT_NOT_SEEN)
    return dict(zip(reasons, (none, unclear, absent), strict=True))


@pytest.mark.parametrize(
    ('probabilities', 'reason'),
    [
        (refusals(0.6), Reason.COMMAND_NOT_UNDERSTOOD),
        (refusals(0.2, 0.3, 0.1), Reason.OBJECT_UNCLEAR),
        (refusals(0.0, 0.1, 0.9), Reason.OBJECT_NOT_SEEN),
    ],
)
def test_three_refusals_in_a_row_end_the_task_with_the_likeliest_reason(
    running, probabilities, reason
):
    for _ in range(2):
        assert not running.understands(probabilities, NOW + 5)
        assert running.may_move
    assert not running.understands(probabilities, NOW + 5)
    assert seen(running) == (State.HOLDING, reason, False)


def test_once_understood_a_command_stays_so(running):
    assert not running.understands(refusals(0.9), NOW + 5)
    assert running.understands(refusals(0.3, 0.2), NOW + 5)
    for _ in range(5):
        assert running.understands(refusals(0.0, 0.0, 1.0), NOW + 5)
    assert running.state is State.RUNNING


def test_each_command_has_to_be_understood_anew(running):
    running.understands(refusals(0.0), NOW + 5)
    running.start('push the ball', NOW + 2, NOW + 2)
    assert not running.understands(refusals(0.9), NOW + 5)


def test_disabling_pauses_the_task_and_enabling_goes_on(running):
    running.enable(False)
    assert seen(running) == (State.HOLDING, Reason.DISABLED, False)
    running.enable(True)
    assert seen(running) == (State.RUNNING, Reason.OK, True)


def test_enabling_tells_whether_motion_was_not_allowed_before(running):
    assert not running.enable(True)
    assert not running.enable(False)
    assert running.enable(True)


def test_with_confirmation_every_new_command_waits_for_the_user():
    session = Session(Rules(confirm_before_motion=True))
    for stamp_ns in (NOW, NOW + 10):
        session.start('push the ball', stamp_ns, stamp_ns)
        session.gated(Reason.OK, stamp_ns)
        assert seen(session) == (State.HOLDING, Reason.UNCONFIRMED, False)
        assert session.enable(True)
        assert seen(session) == (State.RUNNING, Reason.OK, True)


def test_disabling_confirms_nothing():
    session = Session(Rules(confirm_before_motion=True))
    session.start('push the ball', NOW, NOW)
    session.enable(False)
    assert seen(session) == (State.HOLDING, Reason.DISABLED, False)


@pytest.mark.parametrize('reason', GATE_ENDINGS)
def test_a_spent_budget_or_a_robot_that_does_not_follow_ends_the_task(running, reason):
    running.gated(reason, NOW + 5)
    assert seen(running) == (State.HOLDING, reason, False)
    assert not running.start('the same', NOW + 4, NOW + 6)
    assert running.start('push the ball', NOW + 7, NOW + 7)


@pytest.mark.parametrize(
    'event',
    [
        lambda s: s.start('push the ball', NOW + 9, NOW + 9),
        lambda s: s.stop(NOW + 9),
        lambda s: s.cancel(NOW + 9),
        lambda s: s.enable(True),
        lambda s: s.gated(Reason.OK, NOW + 3),
        lambda s: s.terminate(1.0),
        lambda s: s.estop(NOW + 9),
    ],
)
def test_the_estop_latches_through_everything(running, event):
    running.estop(NOW + 5)
    event(running)
    assert seen(running) == (State.ESTOPPED, Reason.ESTOP, False)


def test_no_command_is_taken_while_estopped(running):
    running.estop(NOW + 5)
    assert not running.start('push the ball', NOW + 6, NOW + 6)
    assert running.command == 'pick up the red block'


def test_reset_releases_the_estop_but_not_the_old_task(running):
    running.estop(NOW + 5)
    assert running.reset(NOW + 6)
    assert seen(running) == (State.IDLE, Reason.NO_COMMAND, False)
    assert not running.start('pick up the red block', NOW + 1, NOW + 7)


def test_reset_without_an_estop_is_refused_and_changes_nothing(running):
    assert not running.reset(NOW + 5)
    assert running.state is State.RUNNING
