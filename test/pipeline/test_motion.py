"""The oracle here sees only the poses that come out and the times between them."""

import math
import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import angle_between, Pose, quaternion_from_axis_angle
from vla_ros.pipeline.motion import Limits, MotionLimiter

LIMITS = Limits(workspace_min=(0.2, -0.3, 0.0), workspace_max=(0.6, 0.3, 0.4))
START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
DT_S = 0.02

axis = st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 1), (-1, 2, 0)])
poses = st.builds(
    lambda x, y, z, a, angle, sign: Pose.of(
        (x, y, z), sign * quaternion_from_axis_angle(a, angle)
    ),
    st.floats(-1.0, 2.0),
    st.floats(-1.0, 1.0),
    st.floats(-1.0, 1.0),
    axis,
    st.floats(-math.pi, math.pi),
    st.sampled_from([-1.0, 1.0]),
)
#: A target, or a brake where there is none, how long it lasts, and the period of its ticks.
legs = st.tuples(st.none() | poses, st.integers(1, 40), st.floats(0.002, 0.04))


def angular_velocity(before: Pose, after: Pose, dt_s: float) -> float:
    return angle_between(before.quaternion, after.quaternion) / dt_s


def run(limiter: MotionLimiter, target: Pose, seconds: float) -> list[Pose]:
    return [limiter.step(target, DT_S) for _ in range(round(seconds / DT_S))]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(legs, min_size=1, max_size=8))
def test_every_step_keeps_to_every_limit(journey):
    limiter = MotionLimiter(LIMITS, START)
    last, last_velocity = limiter.pose, np.zeros(3)
    for target, ticks, dt_s in journey:
        for _ in range(ticks):
            pose = limiter.brake(dt_s) if target is None else limiter.step(target, dt_s)
            velocity = (pose.position - last.position) / dt_s
            speed_up = np.linalg.norm(velocity - last_velocity)
            assert np.linalg.norm(velocity) <= LIMITS.max_speed_m_s + 1e-9
            assert speed_up <= LIMITS.max_acceleration_m_s2 * dt_s + 1e-9
            turn = angular_velocity(last, pose, dt_s)
            assert turn <= LIMITS.max_angular_speed_rad_s + 1e-9
            assert (pose.position >= LIMITS.workspace_min).all()
            assert (pose.position <= LIMITS.workspace_max).all()
            assert abs(np.linalg.norm(pose.quaternion) - 1.0) < 1e-9
            assert pose.quaternion @ last.quaternion > 0.0
            last, last_velocity = pose, velocity


def test_angular_speed_changes_no_faster_than_allowed():
    limiter = MotionLimiter(LIMITS, START)
    turned = Pose.of(START.position, quaternion_from_axis_angle((0, 1, 0), 2.0))
    path = [START, *run(limiter, turned, 4.0), *(limiter.brake(DT_S) for _ in range(50))]
    speeds = [angular_velocity(a, b, DT_S) for a, b in zip(path, path[1:], strict=False)]
    change = np.abs(np.diff([0.0, *speeds])).max()
    assert change <= LIMITS.max_angular_acceleration_rad_s2 * DT_S + 1e-9


@settings(max_examples=30, deadline=None, derandomize=True)
@given(poses)
def test_a_target_that_stands_still_is_reached_without_overshoot(target):
    limiter = MotionLimiter(LIMITS, START)
    goal = LIMITS.inside(target.position)
    path = run(limiter, target, 15.0)
    distances = [np.linalg.norm(goal - p.position) for p in path]
    angles = [angle_between(p.quaternion, target.quaternion) for p in path]
    assert (np.diff(distances) <= 1e-9).all()
    assert (np.diff(angles) <= 1e-7).all()
    assert distances[-1] < 1e-6
    assert angles[-1] < 1e-6


def test_a_long_way_is_covered_at_the_speed_limit():
    limiter = MotionLimiter(LIMITS, Pose.of((0.2, -0.3, 0.2)))
    run(limiter, Pose.of((0.6, 0.3, 0.2)), 1.0)
    assert np.linalg.norm(limiter.velocity) == pytest.approx(LIMITS.max_speed_m_s)


def test_braking_comes_to_rest_within_the_braking_distance_and_stays():
    limiter = MotionLimiter(LIMITS, Pose.of((0.2, 0.0, 0.2)))
    run(limiter, Pose.of((0.6, 0.0, 0.2)), 0.6)
    before = limiter.pose
    for _ in range(13):  # 0.25 m/s at 1 m/s^2
        limiter.brake(DT_S)
    assert limiter.at_rest
    way = np.linalg.norm(limiter.pose.position - before.position)
    assert 0.02 < way <= LIMITS.max_speed_m_s**2 / (2 * LIMITS.max_acceleration_m_s2)
    assert (limiter.brake(DT_S).position == limiter.pose.position).all()


def test_a_target_that_turns_away_at_the_wall_leaves_room_to_brake():
    limiter = MotionLimiter(LIMITS, Pose.of((0.4, 0.0, 0.2)))
    run(limiter, Pose.of((0.6, 0.0, 0.2)), 0.76)  # at full speed, just able to stop at the wall
    assert limiter.velocity[0] == pytest.approx(LIMITS.max_speed_m_s)
    path = [limiter.pose, *run(limiter, Pose.of((0.6, -0.3, 0.2)), 3.0)]
    velocity = np.diff([p.position for p in path], axis=0) / DT_S
    braking = np.linalg.norm(np.diff(velocity, axis=0), axis=1) / DT_S
    assert max(p.position[0] for p in path) <= 0.6
    assert braking.max() <= LIMITS.max_acceleration_m_s2 + 1e-6
    assert path[-1].position == pytest.approx((0.6, -0.3, 0.2), abs=1e-3)


def test_both_signs_of_a_quaternion_mean_the_same_motion():
    q = quaternion_from_axis_angle((0, 1, 1), 1.0)
    a, b = MotionLimiter(LIMITS, START), MotionLimiter(LIMITS, START)
    for _ in range(50):
        plus = a.step(Pose.of(START.position, q), DT_S)
        minus = b.step(Pose.of(START.position, -q), DT_S)
        assert (plus.quaternion == minus.quaternion).all()


def test_a_step_is_cheap():
    limiter = MotionLimiter(LIMITS, START)
    started = time.process_time()
    run(limiter, Pose.of((0.6, 0.3, 0.1)), 20.0)
    # 25 us on an idle core; the bar is for a busy one.
    assert (time.process_time() - started) / 1000 < 300e-6


@pytest.mark.parametrize(
    ('low', 'high'),
    [
        ((math.nan,), (math.nan,)),
        ((0.0, 0.0), (1.0, 1.0)),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 0.0)),
        ((0.0, 0.0, math.nan), (1.0, 1.0, 1.0)),
        ((0.0, 0.0, 0.0), (1.0, math.inf, 1.0)),
    ],
)
def test_a_missing_or_senseless_workspace_is_refused_with_the_fix(low, high):
    with pytest.raises(ConfigurationError, match='workspace_min: .0.2, -0.3, 0.01.'):
        Limits(workspace_min=low, workspace_max=high)


@pytest.mark.parametrize('value', [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_is_no_limit_is_refused(value):
    with pytest.raises(ConfigurationError, match='max_speed_m_s'):
        Limits((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), max_speed_m_s=value)


def test_an_empty_frame_is_refused():
    with pytest.raises(ConfigurationError, match='base_frame'):
        Limits((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), base_frame='')
