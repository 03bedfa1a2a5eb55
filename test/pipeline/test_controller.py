"""The controller: events and chunks in, what the robot is told out."""

from dataclasses import replace

from controller_bench import Bench, CHANNELS, LIMITS, START, started, TICK_S
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from vla_ros.pipeline.gate import Instant, Measured
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def running() -> Bench:
    return started()


def test_without_a_command_the_robot_is_told_nothing(bench):
    output = bench.tick()
    assert (output.reason, output.pose, output.gripper) == (Reason.NO_COMMAND, None, None)


def test_a_command_is_followed_to_its_end(running):
    output = running.run(2.0)
    assert output.pose.position == pytest.approx((0.45, 0.05, 0.2), abs=1e-6)
    assert output.gripper == 0.5


def test_a_pose_tells_the_image_that_it_follows_from(running):
    made = running.chunk()
    running.controller.accept(made, running.now)
    assert running.tick().image_stamp_ns == made.stamp_ns


def test_chunks_that_are_not_played_are_named(running):
    other = replace(running.chunk(), command_stamp_ns=1)
    assert running.controller.accept(other, running.now) == 'chunk_of_another_command'
    older = replace(running.chunk(), stamp_ns=running.now.stamp_ns - 500_000_000)
    assert running.controller.accept(older, running.now) == 'chunk_older_than_played'
    running.command()
    assert running.accept(refusals=(0.0, 0.6, 0.0)) == 'chunk_that_refuses'


@pytest.mark.parametrize(
    'values', [np.full((10, len(CHANNELS)), np.nan), np.zeros((0, len(CHANNELS))), np.zeros(3)]
)
def test_a_malformed_chunk_is_an_error_and_refuses_nothing(bench, values):
    bench.command()
    for _ in range(5):
        with pytest.raises(ValueError, match='shape|finite'):
            bench.controller.accept(replace(bench.chunk(), values=values), bench.now)
    assert bench.seen() == (State.HOLDING, Reason.NO_ACTION)


def test_while_the_policy_refuses_nothing_moves_and_then_the_task_ends(bench):
    bench.command()
    bench.policy = {'refusals': (0.1, 0.2, 0.4)}
    bench.run(0.3)
    assert bench.seen() == (State.HOLDING, Reason.OBJECT_NOT_SEEN)
    assert np.ptp(bench.path, axis=0).max() == 0.0


def test_once_understood_an_object_hidden_by_the_hand_stops_nothing(running):
    running.policy = {'refusals': (0.0, 0.0, 1.0)}
    running.run(1.0)
    assert running.seen() == (State.RUNNING, Reason.OK)


def test_terminations_of_three_chunks_in_a_row_end_the_task(running):
    running.policy = {'done': 0.9}
    running.run(0.2)
    assert running.seen() == (State.RUNNING, Reason.OK)
    running.run(0.1)
    assert running.seen() == (State.SUCCEEDED, Reason.DONE)
    assert running.controller.progress == 0.9


def test_a_termination_that_the_gate_does_not_let_through_does_not_count(running):
    running.policy = {'done': 0.9, 'goal': (0.9, 0.0, 0.2)}
    running.run(1.0)
    assert running.seen() == (State.HOLDING, Reason.OUTSIDE_WORKSPACE)


def test_a_new_command_forgets_the_old_chunk(running):
    running.command('go back')
    assert running.tick().reason is Reason.NO_ACTION


def test_confirmation_holds_a_command_until_motion_is_enabled():
    bench = Bench(confirm_before_motion=True)
    bench.command()
    bench.run(0.2)
    assert bench.seen() == (State.HOLDING, Reason.UNCONFIRMED)
    assert np.ptp(bench.path, axis=0).max() == 0.0
    bench.controller.enable(True, bench.now.steady_s)
    bench.run(0.2)
    assert bench.seen() == (State.RUNNING, Reason.OK)


def test_after_enabling_the_speed_rises_along_a_ramp(running):
    running.controller.enable(False, running.now.steady_s)
    running.policy = {'goal': (0.55, 0.1, 0.2)}
    running.run(0.4)
    assert running.seen() == (State.HOLDING, Reason.DISABLED)
    at_rest = len(running.path)
    running.controller.enable(True, running.now.steady_s)
    running.run(0.8)
    assert running.controller.reason is Reason.OK
    speeds = np.linalg.norm(np.diff(running.path[at_rest:], axis=0), axis=1) / TICK_S
    allowed = LIMITS.max_speed_m_s * TICK_S * np.arange(2, len(speeds) + 2)
    assert (speeds <= allowed + 1e-9).all()
    assert speeds.max() > 0.15


def test_enabling_what_is_enabled_slows_nothing_down(running):
    running.policy = {'goal': (0.55, 0.1, 0.2)}
    running.run(0.3)
    running.controller.enable(True, running.now.steady_s)
    running.tick()
    assert np.linalg.norm(running.path[-1] - running.path[-2]) / TICK_S > 0.2


@pytest.mark.parametrize(
    ('limits', 'reason'),
    [
        (replace(LIMITS, max_path_m=0.1), Reason.PATH_SPENT),
        (replace(LIMITS, max_task_s=1.0), Reason.TIME_SPENT),
    ],
)
def test_a_creeping_policy_is_stopped_at_its_budget_and_has_one_a_command(limits, reason):
    bench = Bench(limits)
    bench.command()
    for i in range(30):
        bench.policy = {'goal': (0.4, 0.02 * (-1) ** i, 0.2)}
        bench.run(0.2)
    assert bench.seen() == (State.HOLDING, reason)
    assert bench.controller.path_m < 0.3
    bench.command()
    bench.run(0.2)
    assert bench.seen() == (State.RUNNING, Reason.OK)


def test_beside_a_second_publisher_it_holds_and_plays_no_chunk(running):
    running.controller.rival = '/robot_action has 2 publishers'
    assert running.accept() == 'chunk_beside_second_publisher'
    running.run(0.4)
    assert running.seen() == (State.HOLDING, Reason.SECOND_PUBLISHER)
    assert (running.path[-1] == running.path[-5]).all()
    running.controller.rival = ''
    running.run(0.2)
    assert running.seen() == (State.RUNNING, Reason.OK)


@pytest.mark.parametrize(
    ('measured', 'reason'),
    [
        (None, Reason.NO_POSE),
        (Measured(START, 'base_link', 90.0), Reason.POSE_LATE),
        (Measured(START, 'elsewhere', 101.0), Reason.POSE_FRAME),
    ],
)
def test_a_pose_that_is_missing_for_a_second_publisher_is_told_as_that(measured, reason):
    bench = Bench()
    bench.command()
    bench.controller.measured = measured
    now = Instant(101.0, 6_000_000_000)
    assert bench.controller.tick(now).reason is reason
    assert bench.controller.reason is reason
    bench.controller.rival = '/robot_pose has 2 publishers'
    output = bench.controller.tick(now)
    assert (output.pose, output.held, output.reason) == (None, True, reason)
    is_missing = reason is not Reason.POSE_FRAME
    assert bench.controller.reason is (Reason.SECOND_PUBLISHER if is_missing else reason)


def test_what_was_taken_before_a_second_publisher_was_noticed_is_not_played_after_it(running):
    running.accept()
    running.controller.rival = '/vla/action_chunk has 2 publishers'
    running.tick()
    running.controller.rival = ''
    running.tick()
    assert running.seen() == (State.HOLDING, Reason.NO_ACTION)


def test_the_estop_button_latches_and_reset_is_refused_while_it_is_pressed(running):
    controller = running.controller
    controller.press(True, running.now)
    running.tick()
    assert running.seen() == (State.ESTOPPED, Reason.ESTOP)
    assert controller.reset(running.now) == 'the e-stop button is pressed'
    controller.press(False, running.now)
    assert running.seen() == (State.ESTOPPED, Reason.ESTOP)
    assert controller.reset(running.now) == ''
    assert running.seen() == (State.IDLE, Reason.NO_COMMAND)


def test_a_button_that_falls_silent_counts_as_pressed(running):
    running.controller.press(False, running.now)
    running.run(0.48)
    assert running.seen() == (State.RUNNING, Reason.OK)
    running.run(0.1)
    assert running.seen() == (State.ESTOPPED, Reason.ESTOP)
    assert running.controller.reset(running.now) == 'the e-stop button is silent'


def test_a_command_given_while_the_button_is_pressed_is_never_obeyed(running):
    running.controller.press(True, running.now)
    given_ns = running.now.stamp_ns
    running.run(0.1)
    running.controller.press(False, running.now)
    assert running.controller.reset(running.now) == ''
    assert not running.controller.start('go', given_ns, running.now.stamp_ns)


def test_reset_without_an_estop_is_refused(running):
    assert running.controller.reset(running.now) == 'there is no e-stop to release'
    assert running.controller.state is State.RUNNING


def test_lowering_the_speed_shortens_the_lead(running):
    running.controller.lower(max_speed_m_s=0.05)
    running.policy = {'goal': (0.55, 0.1, 0.2)}
    running.run(1.0)
    assert np.linalg.norm(running.path[-1] - running.path[-2]) / TICK_S == pytest.approx(0.05)


@pytest.mark.parametrize(
    ('event', 'state', 'reason'),
    [
        (lambda c, now: c.stop(now.stamp_ns), State.HOLDING, Reason.STOPPED),
        (lambda c, now: c.cancel(now.stamp_ns), State.HOLDING, Reason.CANCELLED),
        (lambda c, now: c.estop(now.stamp_ns), State.ESTOPPED, Reason.ESTOP),
        (lambda c, now: c.enable(False, now.steady_s), State.HOLDING, Reason.DISABLED),
    ],
)
def test_whoever_ends_motion_gets_rest_within_the_braking_time(running, event, state, reason):
    running.policy = {'goal': (0.55, 0.1, 0.2)}
    running.run(0.4)
    event(running.controller, running.now)
    assert running.seen() == (state, reason)
    braking_s = LIMITS.max_speed_m_s / LIMITS.max_acceleration_m_s2
    running.run(braking_s + 2 * TICK_S)
    rest = running.path[-1]
    running.run(0.5)
    assert (running.path[-1] == rest).all()
    assert running.seen() == (state, reason)


events = st.sampled_from(
    [
        lambda b: b.controller.start('go', b.now.stamp_ns, b.now.stamp_ns),
        lambda b: b.controller.stop(b.now.stamp_ns),
        lambda b: b.controller.cancel(b.now.stamp_ns),
        lambda b: b.controller.estop(b.now.stamp_ns),
        lambda b: b.controller.reset(b.now),
        lambda b: b.controller.enable(False, b.now.steady_s),
        lambda b: b.controller.enable(True, b.now.steady_s),
        lambda b: b.controller.press(True, b.now),
        lambda b: b.controller.press(False, b.now),
        lambda b: setattr(b.controller, 'rival', 'two'),
        lambda b: setattr(b.controller, 'rival', ''),
        lambda b: setattr(b, 'policy', {'goal': (0.55, 0.2, 0.3)}),
        lambda b: setattr(b, 'policy', {'goal': (0.25, -0.2, 0.05)}),
        lambda b: setattr(b, 'policy', {'goal': (0.4, 0.0, 0.9)}),
        lambda b: setattr(b, 'policy', {'done': 1.0}),
        lambda b: setattr(b, 'policy', {'refusals': (0.0, 0.9, 0.0)}),
    ]
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(events, st.integers(1, 20)), min_size=1, max_size=20), st.booleans())
def test_whatever_happens_in_whatever_order_limits_and_latch_hold(story, confirm):
    bench = Bench(confirm_before_motion=confirm)
    controller = bench.controller
    bench.command()
    for event, ticks in story:
        was_estopped = controller.state is State.ESTOPPED
        before_ns = controller.command_stamp_ns
        event(bench)
        if was_estopped and controller.state is not State.ESTOPPED:
            assert bench.seen() == (State.IDLE, Reason.NO_COMMAND)
        if was_estopped:
            assert controller.command_stamp_ns == before_ns
        for i in range(ticks):
            if i % 5 == 0:
                bench.accept(**bench.policy)
            output = bench.tick()
            assert (controller.state is State.RUNNING) == (controller.reason is Reason.OK)
            assert output.held or controller.reason in (Reason.OK, Reason.DONE)
    velocity = np.diff(bench.path, axis=0) / TICK_S
    acceleration = np.diff(velocity, axis=0) / TICK_S
    assert np.linalg.norm(velocity, axis=1).max() <= LIMITS.max_speed_m_s + 1e-9
    assert np.linalg.norm(acceleration, axis=1).max(initial=0.0) <= (
        LIMITS.max_acceleration_m_s2 + 1e-6
    )
    assert (np.array(bench.path) >= LIMITS.workspace_min).all()
    assert (np.array(bench.path) <= LIMITS.workspace_max).all()
