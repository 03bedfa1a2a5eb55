import pytest

pytestmark = pytest.mark.ros

from vla_ros.nodes.pose_report import PoseReport  # noqa: E402
from vla_ros.pipeline.chunk import Playback  # noqa: E402
from vla_ros.pipeline.controller import Controller  # noqa: E402
from vla_ros.pipeline.gate import GateOutput, Instant  # noqa: E402
from vla_ros.pipeline.motion import Limits  # noqa: E402
from vla_ros.pipeline.reason import Reason  # noqa: E402
from vla_ros.pipeline.session import Rules  # noqa: E402


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
    assert report.health().message == 'nothing came on robot_pose yet'
    report._controller.rival = '/robot_pose has 2 publishers'
    assert report.health().message == '/robot_pose has 2 publishers'


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
