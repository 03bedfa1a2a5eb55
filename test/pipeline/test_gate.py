"""The gate, judged by what it lets out."""

from dataclasses import replace
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import angle_between, normalised, Pose, quaternion_from_axis_angle
from vla_ros.pipeline.gate import Candidate, Gate, GateOutput, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.reason import Reason

LIMITS = Limits(workspace_min=(0.2, -0.3, 0.0), workspace_max=(0.6, 0.3, 0.4))
START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
GOAL = Pose.of((0.5, 0.1, 0.2), (1.0, 0.0, 0.0, 0.0))
PERIOD_S = 0.02
NAN = math.nan


class Bench:
    """A gate, two clocks and a robot that is always where it was sent."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.gate = Gate(limits)
        self.now = Instant(100.0, 5_000_000_000)
        self.robot: Pose = START

    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now.steady_s + seconds, self.now.stamp_ns + round(seconds * 1e9))

    def candidate(self, pose: Pose = GOAL, gripper: float | None = 0.5, **changes) -> Candidate:
        made = Candidate(pose, gripper, 'base_link', self.now.stamp_ns, self.now.steady_s)
        return replace(made, **changes)

    def tick(self, wish: Candidate | Reason, **changes) -> GateOutput:
        self.wait(PERIOD_S)
        measured = Measured(self.robot, 'base_link', self.now.steady_s)
        output = self.gate.tick(self.now, wish, replace(measured, **changes))
        if output.pose is not None:
            self.robot = output.pose
        return output

    def follow(self, ticks: int) -> GateOutput:
        return [self.tick(self.candidate()) for _ in range(ticks)][-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_good_candidate_is_followed_to_its_end(bench):
    output = bench.follow(100)
    assert output.reason is Reason.OK
    assert not output.held
    assert output.pose.position == pytest.approx(GOAL.position, abs=1e-6)
    assert output.gripper == 0.5


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
    first = bench.tick(bench.candidate()).pose
    assert np.linalg.norm(first.position - measured.position) <= 0.005
    turn = angle_between(first.quaternion, normalised(measured.quaternion))
    assert turn <= math.radians(1.0)


def test_nothing_is_published_before_the_robot_is_measured(bench):
    output = bench.gate.tick(bench.now, bench.candidate(), None)
    assert (output.pose, output.gripper, output.reason) == (None, None, Reason.NO_POSE)


MEASURED_FAULTS = [
    ({'pose': Pose.of((NAN, 0.0, 0.2))}, Reason.POSE_MALFORMED),
    ({'pose': Pose.of((0.4, 0.0, 0.2), (0.0, 0.0, 0.0, 0.0))}, Reason.POSE_MALFORMED),
    ({'frame_id': 'camera'}, Reason.POSE_FRAME),
    ({'received_s': 99.0}, Reason.POSE_LATE),
    ({'pose': Pose.of((0.4, 0.0, 0.45))}, Reason.POSE_OUTSIDE),
]


@pytest.mark.parametrize(('changes', 'reason'), MEASURED_FAULTS)
def test_motion_never_starts_from_an_unusable_measured_pose(bench, changes, reason):
    output = bench.tick(bench.candidate(), **changes)
    assert (output.pose, output.reason) == (None, reason)


@pytest.mark.parametrize(('changes', 'reason'), MEASURED_FAULTS[:4])
def test_losing_the_measured_pose_holds(bench, changes, reason):
    bench.follow(10)
    output = bench.tick(bench.candidate(), **changes)
    assert output.pose is not None
    assert output.reason is reason


def unusable(bench: Bench) -> list[tuple[Candidate | Reason, Reason]]:
    pose, now = bench.candidate, bench.now

    def at(*position: float) -> Candidate:
        return pose(Pose.of(position, GOAL.quaternion))

    def turned(*quaternion: float) -> Candidate:
        return pose(Pose.of(GOAL.position, quaternion))

    return [
        (Reason.NO_ACTION, Reason.NO_ACTION),
        (Reason.CHUNK_ENDED, Reason.CHUNK_ENDED),
        (pose(Pose(np.zeros(2), GOAL.quaternion)), Reason.MALFORMED),
        (pose(Pose(GOAL.position, np.zeros((4, 1)))), Reason.MALFORMED),
        (pose(Pose(GOAL.position + 0j, GOAL.quaternion)), Reason.MALFORMED),
        (pose(Pose(np.array([None, 0.0, 0.1]), GOAL.quaternion)), Reason.MALFORMED),
        (at(NAN, 0.0, 0.2), Reason.NOT_FINITE),
        (at(0.4, math.inf, 0.2), Reason.NOT_FINITE),
        (turned(1.0, 0.0, 0.0, NAN), Reason.NOT_FINITE),
        (pose(gripper=NAN), Reason.NOT_FINITE),
        (pose(gripper=0.5j), Reason.MALFORMED),
        (pose(gripper='closed'), Reason.MALFORMED),
        (at(0.2, -0.3, 0.4), Reason.JUMP),
        (turned(0.0, 0.0, 0.0, 0.0), Reason.BAD_QUATERNION),
        (turned(0.8, 0.0, 0.0, 0.0), Reason.BAD_QUATERNION),
        (turned(1e300, 1e300, 0.0, 0.0), Reason.BAD_QUATERNION),
        (pose(frame_id='world'), Reason.WRONG_FRAME),
        (pose(frame_id=''), Reason.WRONG_FRAME),
        (pose(stamp_ns=0), Reason.IMAGE_OLD),
        (pose(stamp_ns=now.stamp_ns - 190_000_000), Reason.IMAGE_OLD),
        (pose(stamp_ns=now.stamp_ns + 80_000_000), Reason.IMAGE_FUTURE),
        (pose(stamp_ns=2**62), Reason.IMAGE_FUTURE),
        (pose(received_s=now.steady_s - 0.3), Reason.ACTION_LATE),
        (at(0.61, 0.0, 0.2), Reason.OUTSIDE_WORKSPACE),
        (at(1e308, -1e308, 0.2), Reason.OUTSIDE_WORKSPACE),
        (pose(gripper=2.0), Reason.GRIPPER_RANGE),
    ]


def test_an_unusable_candidate_is_refused_whole_and_named():
    for i in range(len(unusable(Bench()))):
        bench = Bench()
        bench.follow(20)
        goal, gripper = bench.robot, 0.5
        wish, reason = unusable(bench)[i]
        output = bench.tick(wish)
        assert output.reason is reason, wish
        assert output.held
        assert output.gripper == gripper
        assert np.linalg.norm(output.pose.position - goal.position) < 0.25 * PERIOD_S


#: Each of these has a test of its own here.
ALONE = {
    Reason.OK,
    Reason.NO_POSE,
    Reason.NOT_FOLLOWING,
    Reason.PATH_SPENT,
    Reason.TIME_SPENT,
}


def test_every_reason_of_the_gate_is_reached_by_these_tests():
    reached = {reason for _, reason in unusable(Bench())} | {r for _, r in MEASURED_FAULTS}
    codes = list(Reason)
    of_the_gate = set(codes[: codes.index(Reason.NO_COMMAND)])
    assert reached | ALONE == of_the_gate


def test_every_reason_says_in_words_what_it_means():
    assert all(reason.doc for reason in Reason)
    assert len({reason.doc for reason in Reason}) == len(Reason)


def test_faults_are_named_in_the_order_of_the_checks(bench):
    faults = {
        'gripper': NAN,
        'frame_id': 'world',
        'stamp_ns': 0,
        'received_s': 0.0,
        'pose': Pose.of((9.0, 0.0, 0.2), (2.0, 0.0, 0.0, 0.0)),
    }
    mended = [
        ('gripper', 7.0),
        ('frame_id', 'base_link'),
        ('stamp_ns', bench.now.stamp_ns),
        ('received_s', bench.now.steady_s),
        ('pose', Pose.of((0.2, -0.3, 0.4), (2.0, 0.0, 0.0, 0.0))),
        ('pose', Pose.of((0.41, 0.0, 0.2), (2.0, 0.0, 0.0, 0.0))),
        ('pose', Pose.of((0.41, 0.0, 0.2), START.quaternion)),
        ('gripper', 0.5),
    ]
    reasons = []
    for name, value in [('gripper', NAN), *mended]:
        faults[name] = value
        reasons.append(bench.tick(bench.candidate(**faults)).reason)
    assert reasons == [
        Reason.NOT_FINITE,
        Reason.WRONG_FRAME,
        Reason.IMAGE_OLD,
        Reason.ACTION_LATE,
        Reason.OUTSIDE_WORKSPACE,
        Reason.JUMP,
        Reason.BAD_QUATERNION,
        Reason.GRIPPER_RANGE,
        Reason.OK,
    ]


def test_a_jump_is_judged_at_its_limit():
    for way_m, reason in [(0.1, Reason.OK), (0.1001, Reason.JUMP)]:
        bench = Bench(replace(LIMITS, max_jump_m=0.1))
        goal = Pose.of((0.4, way_m, 0.2), START.quaternion)
        assert bench.tick(bench.candidate(goal)).reason is reason


@pytest.mark.parametrize(
    ('limits', 'reason'),
    [
        (replace(LIMITS, max_path_m=0.08), Reason.PATH_SPENT),
        (replace(LIMITS, max_task_s=0.5), Reason.TIME_SPENT),
    ],
)
def test_a_task_that_has_spent_its_budget_is_held_and_a_new_one_has_its_own(limits, reason):
    bench = Bench(limits)
    bench.follow(10)
    bench.gate.begin()
    assert bench.follow(10).reason is Reason.OK
    assert bench.follow(20).reason is reason
    braking_m = limits.max_speed_m_s**2 / (2 * limits.max_acceleration_m_s2)
    step_m = limits.max_speed_m_s * PERIOD_S
    assert bench.gate.path_m <= limits.max_path_m + braking_m + step_m
    bench.gate.begin()
    assert bench.follow(1).reason is Reason.OK


def test_time_spent_on_hold_is_not_of_the_budget():
    bench = Bench(replace(LIMITS, max_task_s=0.5))
    bench.follow(10)
    for _ in range(100):
        bench.tick(Reason.NO_ACTION)
    assert bench.follow(10).reason is Reason.OK


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


def test_the_age_of_an_image_is_judged_at_both_ends_to_the_millisecond(bench):
    bench.follow(2)
    for age_s, reason in [
        (0.199, Reason.OK),
        (0.201, Reason.IMAGE_OLD),
        (-0.049, Reason.OK),
        (-0.051, Reason.IMAGE_FUTURE),
    ]:
        wish = bench.candidate(
            stamp_ns=bench.now.stamp_ns + round((PERIOD_S - age_s) * 1e9),
        )
        assert bench.tick(wish).reason is reason


def test_a_stalled_ros_clock_cannot_keep_an_action_fresh(bench):
    bench.follow(5)
    wish, stalled_ns = bench.candidate(), bench.now.stamp_ns
    reasons = []
    for _ in range(20):
        bench.now = replace(bench.now, stamp_ns=stalled_ns - round(PERIOD_S * 1e9))
        reasons.append(bench.tick(wish).reason)
    assert reasons[5] is Reason.OK
    assert reasons[-1] is Reason.ACTION_LATE


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


def test_a_robot_that_does_not_follow_is_held_and_then_met_where_it_is(bench):
    bench.follow(10)
    bench.robot = elsewhere = Pose.of((0.3, -0.2, 0.3), GOAL.quaternion)
    outputs = []
    for _ in range(40):
        bench.robot = elsewhere
        outputs.append(bench.tick(bench.candidate()))
    assert outputs[0].reason is Reason.NOT_FOLLOWING
    silent = [i for i, o in enumerate(outputs) if o.pose is None]
    restart = outputs[silent[0] + 1]
    assert np.linalg.norm(restart.pose.position - elsewhere.position) < 0.005


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
    poses = [START, START]
    for pose, gripper, ticks in journey:
        for _ in range(ticks):
            wish = bench.candidate(pose, gripper) if pose else Reason.NO_ACTION
            output = bench.tick(wish)
            poses.append(output.pose)
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
