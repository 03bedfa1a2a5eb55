import pytest

pytestmark = pytest.mark.ros

from vla_ros.geometry import Pose  # noqa: E402
from vla_ros.nodes.diagnostics import ERROR  # noqa: E402
from vla_ros.nodes.pose_report import PoseReport  # noqa: E402
from vla_ros.pipeline.chunk import Playback  # noqa: E402
from vla_ros.pipeline.controller import Controller  # noqa: E402
from vla_ros.pipeline.gate import GateOutput, Instant, Measured  # noqa: E402
from vla_ros.pipeline.motion import Limits  # noqa: E402
from vla_ros.pipeline.reason import Reason  # noqa: E402
from vla_ros.pipeline.session import Rules  # noqa: E402

DOWN = (1.0, 0.0, 0.0, 0.0)


@pytest.fixture
def report():
    limits = Limits(workspace_min=(0.2, -0.3, 0.0), workspace_max=(0.6, 0.3, 0.4), rate_hz=50.0)
    return PoseReport(Controller(limits, Rules(), Playback()))


def tick(report, at_s, image_at_s=None):
    """Follow an image, or hold."""
    image_ns = None if image_at_s is None else round(image_at_s * 1e9)
    reason = Reason.OK if image_ns is not None else Reason.NO_ACTION
    report.observe(Instant(at_s, round(at_s * 1e9)), GateOutput(None, None, reason, image_ns))


def test_a_tick_is_late_beyond_a_quarter_of_its_period(report):
    for at_s in (1.0, 1.02, 1.044, 1.064, 1.104, 1.124):
        tick(report, at_s)
    assert report.health().values['late_ticks'] == 1


def test_a_second_publisher_is_told_before_the_pose_that_is_missing_for_it(report):
    assert report.health().message.startswith('nothing came on robot_pose yet: start the driver')
    report._controller.rival = '/robot_pose has 2 publishers'
    assert report.health().message == '/robot_pose has 2 publishers'


@pytest.mark.parametrize(
    ('position', 'quaternion', 'frame', 'age_s', 'told'),
    [
        (
            (0.7, 0.0, 0.2),
            DOWN,
            'base_link',
            0.0,
            'the robot is at 0.7 0 0.2 m, outside the workspace 0.2 -0.3 0 .. 0.6 0.3 0.4 m: move '
            'it there by its own means, or set workspace_min and workspace_max',
        ),
        (
            (0.4, 0.0, 0.2),
            DOWN,
            'wor\x1bld',
            0.0,
            "robot_pose is in 'wor\\x1bld', expected 'base_link': set base_frame or republish it",
        ),
        (
            (0.4, 0.0, 0.2),
            (0.0, 0.0, 0.0, 0.0),
            'base_link',
            0.0,
            'robot_pose is 0.4 0 0.2 0 0 0 0: it takes a unit quaternion',
        ),
        (
            (0.4, 0.0, 0.2),
            DOWN,
            'base_link',
            3.0,
            'nothing came on robot_pose for 3.0 s, valid: 0.2 s at most; does the driver of the '
            'robot run?',
        ),
    ],
)
def test_without_a_task_it_tells_why_the_robot_cannot_be_moved(
    report, position, quaternion, frame, age_s, told
):
    controller, now = report._controller, Instant(100.0, 10**11)
    controller.measured = Measured(Pose.of(position, quaternion), frame, 100.0 - age_s)
    report.observe(now, controller.tick(now))
    assert (report.health().level, report.health().message) == (ERROR, told)
    assert (report.status().level, report.status().message) == (ERROR, f'idle: {told}')


def test_what_the_robot_does_is_news_without_a_task_too(report):
    now = Instant(1.0, 10**9)
    report.observe(now, report._controller.tick(now))
    report.status()
    assert not report.has_news()
    report._controller.measured = Measured(Pose.of((0.4, 0.0, 0.2), DOWN), 'base_link', 1.0)
    report.observe(now, report._controller.tick(now))
    assert report.has_news()
    assert report.status().message == 'idle: no_command'


def test_latency_counts_the_first_pose_of_an_image_and_the_frame_age_every_one(report):
    for at_s in (1.05, 1.07, 1.09):
        tick(report, at_s, image_at_s=1.0)
    values = report.health().values
    assert values['latency_p99_ms'] == pytest.approx(50.0)
    assert values['frame_age_p50_ms'] == pytest.approx(70.0)


def test_a_pose_that_follows_no_image_has_no_age(report):
    tick(report, 1.0)
    values = report.health().values
    assert values['frame_age_p50_ms'] != values['frame_age_p50_ms']
