"""What the gate refuses, and by which name."""

from dataclasses import replace
import math

from gate_bench import Bench, GOAL, LIMITS, PERIOD_S, START
import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.pipeline.gate import Candidate
from vla_ros.pipeline.reason import Reason

NAN = math.nan


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_good_candidate_is_followed_to_its_end(bench):
    output = bench.follow(100)
    assert output.reason is Reason.OK
    assert not output.held
    assert output.pose.position == pytest.approx(GOAL.position, abs=1e-6)
    assert output.gripper == 0.5


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


def test_a_robot_that_does_not_follow_is_held_and_then_met_where_it_is(bench):
    bench.follow(10)
    bench.robot = elsewhere = Pose.of((0.3, -0.2, 0.3), GOAL.quaternion)
    outputs = []
    for _ in range(40):
        bench.robot = elsewhere
        outputs.append(bench.tick(bench.candidate()))
    assert outputs[0].reason is Reason.NOT_FOLLOWING
    assert outputs[-1].pose is None
    assert bench.tick(Reason.DONE).pose is None
    restart = bench.tick(bench.candidate(elsewhere))
    assert np.linalg.norm(restart.pose.position - elsewhere.position) < 0.005


@pytest.mark.parametrize('refused', [Reason.NO_COMMAND, Reason.ESTOP, None])
def test_the_robot_is_told_nothing_before_there_is_something_to_follow(bench, refused):
    far = Pose.of((5.0, 0.0, 0.2), GOAL.quaternion)
    for _ in range(10):
        output = bench.tick(refused or bench.candidate(far))
        assert (output.pose, output.gripper) == (None, None)
        assert output.reason is (refused or Reason.OUTSIDE_WORKSPACE)
    assert bench.tick(bench.candidate()).pose is not None
    assert bench.tick(refused or bench.candidate(far)).pose is not None
