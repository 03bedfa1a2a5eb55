"""How what leaves the gate moves."""

import math

from gate_bench import Bench, GOAL, LIMITS, PERIOD_S, START
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import angle_between, normalised, Pose, quaternion_from_axis_angle
from vla_ros.pipeline.gate import Instant, Measured
from vla_ros.pipeline.reason import Reason


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_first_pose_is_the_measured_one_and_motion_starts_at_rest(bench):
    first, second = bench.tick(bench.candidate()), bench.tick(bench.candidate())
    assert (first.pose.vector() == START.vector()).all()
    step = np.linalg.norm(second.pose.position - START.position)
    assert 0.0 < step <= LIMITS.max_acceleration_m_s2 * PERIOD_S**2 + 1e-12


@pytest.mark.parametrize(
    'measured',
    [
        Pose.of((0.604, 0.0, 0.2), START.quaternion),
        Pose.of((0.4, -0.304, -0.002), START.quaternion),
        Pose.of((0.4, 0.0, 0.2), 1.05 * quaternion_from_axis_angle((1, 2, 3), 2.0)),
    ],
)
def test_the_first_pose_is_within_5_mm_and_1_degree_of_the_measured_one(bench, measured):
    bench.robot = measured
    near_all = Pose.of((0.5, -0.2, 0.1), START.quaternion)
    first = bench.tick(bench.candidate(near_all)).pose
    assert np.linalg.norm(first.position - measured.position) <= 0.005
    turn = angle_between(first.quaternion, normalised(measured.quaternion))
    assert turn <= math.radians(1.0)


def test_targets_beyond_what_a_tick_allows_are_approached_and_counted(bench):
    bench.follow(30)
    assert bench.gate.limited_ticks == 30
    bench.follow(100)
    at_goal = bench.gate.limited_ticks
    bench.follow(10)
    assert bench.gate.limited_ticks == at_goal


def test_a_share_of_the_speed_is_kept_to(bench):
    poses = []
    for _ in range(30):
        bench.wait(PERIOD_S)
        measured = Measured(bench.robot, 'base_link', bench.now.steady_s)
        bench.robot = bench.gate.tick(bench.now, bench.candidate(), measured, 0.2).pose
        poses.append(bench.robot.position)
    speeds = np.linalg.norm(np.diff(poses, axis=0), axis=1) / PERIOD_S
    assert speeds.max() == pytest.approx(0.2 * LIMITS.max_speed_m_s)


def test_a_lowered_speed_is_reached_by_braking_within_the_acceleration(bench):
    bench.follow(20)
    bench.gate.lower(max_speed_m_s=0.05)
    poses = [bench.robot.position, *(bench.follow(1).pose.position for _ in range(20))]
    speeds = np.linalg.norm(np.diff(poses, axis=0), axis=1) / PERIOD_S
    assert speeds[-1] == pytest.approx(0.05)
    assert np.abs(np.diff(speeds)).max() <= LIMITS.max_acceleration_m_s2 * PERIOD_S + 1e-9


def test_a_limit_may_not_rise(bench):
    with pytest.raises(ConfigurationError, match='max_speed_m_s is 0.25 and may only be lowered'):
        bench.gate.lower(max_speed_m_s=0.3, max_jump_m=0.1)
    assert bench.gate.limits == LIMITS


def test_the_acceleration_may_be_lowered_at_rest_only(bench):
    bench.follow(20)
    with pytest.raises(ConfigurationError, match='at rest'):
        bench.gate.lower(max_acceleration_m_s2=0.1)
    for _ in range(20):
        bench.tick(Reason.NO_ACTION)
    bench.gate.lower(max_acceleration_m_s2=0.1)
    assert bench.gate.limits.max_acceleration_m_s2 == 0.1


def test_without_a_candidate_it_comes_to_rest_and_stays(bench):
    bench.follow(15)
    outputs = [bench.tick(Reason.NO_ACTION) for _ in range(60)]
    assert (outputs[-1].pose.position == outputs[30].pose.position).all()
    assert all(o.held for o in outputs)


def test_a_target_on_the_wall_may_be_a_little_outside_but_the_pose_is_not(bench):
    outside = Pose.of((0.604, 0.0, 0.2), GOAL.quaternion)
    outputs = [bench.tick(bench.candidate(outside)) for _ in range(150)]
    assert outputs[-1].reason is Reason.OK
    assert outputs[-1].pose.position[0] == pytest.approx(0.6)
    assert max(o.pose.position[0] for o in outputs) <= 0.6


def test_a_pause_of_the_process_is_not_made_up_by_a_leap(bench):
    bench.follow(20)
    before = bench.robot
    bench.wait(2.0)
    output = bench.follow(1)
    leap = np.linalg.norm(output.pose.position - before.position)
    assert leap <= LIMITS.max_speed_m_s * 2 * PERIOD_S + 1e-12


def test_a_tick_at_the_same_instant_moves_nothing(bench):
    bench.follow(10)
    bench.now = Instant(bench.now.steady_s - PERIOD_S, bench.now.stamp_ns)
    before = bench.robot
    assert (bench.follow(1).pose.position == before.position).all()


def test_the_sign_of_the_quaternion_goes_on_over_a_silence(bench):
    last = bench.follow(10).pose.quaternion
    for _ in range(30):
        output = bench.tick(bench.candidate(), received_s=0.0)  # nobody knows where it is
    assert output.pose is None
    bench.robot = Pose(bench.robot.position, -last)
    assert bench.tick(bench.candidate()).pose.quaternion @ last > 0.0


def test_the_gripper_is_kept_in_range_and_kept_while_held(bench):
    assert bench.tick(bench.candidate(gripper=1.1)).gripper == 1.0
    assert bench.tick(Reason.NO_ACTION).gripper == 1.0
    assert bench.tick(bench.candidate(gripper=None)).gripper == 1.0


anything = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1.0, 1.0)
wild = st.builds(
    lambda p, q: Pose.of(p, q),
    st.lists(anything, min_size=3, max_size=3),
    st.lists(anything, min_size=4, max_size=4),
)
tame = st.builds(
    lambda x, y, z, yaw: Pose.of((x, y, z), quaternion_from_axis_angle((0, 0, 1), yaw)),
    st.floats(0.2, 0.6),
    st.floats(-0.3, 0.3),
    st.floats(0.0, 0.4),
    st.floats(-4.0, 4.0),
)
wishes = st.tuples(wild | tame | tame | st.just(None), anything, st.integers(1, 25))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(wishes, min_size=1, max_size=10))
def test_whatever_is_wished_what_leaves_is_finite_and_within_the_limits(journey):
    bench = Bench()
    poses = [START, START, START]
    has_begun = False
    for pose, gripper, ticks in journey:
        for _ in range(ticks):
            wish = bench.candidate(pose, gripper) if pose else Reason.NO_ACTION
            output = bench.tick(wish)
            has_begun |= output.reason is Reason.OK
            assert (output.pose is not None) == has_begun
            poses += [output.pose] if output.pose else []
            assert output.gripper is None or 0.0 <= output.gripper <= 1.0
    path = np.array([p.vector() for p in poses])
    velocity = np.diff(path[:, :3], axis=0) / PERIOD_S
    acceleration = np.diff(velocity, axis=0) / PERIOD_S
    assert np.isfinite(path).all()
    assert np.linalg.norm(velocity, axis=1).max() <= LIMITS.max_speed_m_s * (1 + 1e-9)
    assert np.linalg.norm(acceleration, axis=1).max() <= LIMITS.max_acceleration_m_s2 + 1e-6
    assert (path[:, :3] >= LIMITS.workspace_min).all()
    assert (path[:, :3] <= LIMITS.workspace_max).all()
    assert np.abs(np.linalg.norm(path[:, 3:], axis=1) - 1.0).max() < 1e-9
    dots = (path[1:, 3:] * path[:-1, 3:]).sum(axis=1)
    assert dots.min() >= math.cos(LIMITS.max_angular_speed_rad_s * PERIOD_S / 2) - 1e-12
