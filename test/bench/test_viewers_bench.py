"""The benchmark of those who look on: its arithmetic, and that they do look."""

from dataclasses import replace

import pytest

from vla_ros.bench.pipeline import Load, measure, Sample
from vla_ros.bench.viewers import core_share, goals, NOBODY, PAGE, RVIZ, subjects, table

ALONE = Sample(
    latency_ms=20.0,
    latency_p95_ms=22.0,
    delivered=1.0,
    cpu_ms=30.0,
    period_p99_ms=21.0,
    late=0.0,
    pose_ms=30.0,
)
ROUND = {
    NOBODY: ALONE,
    RVIZ: replace(ALONE, pose_ms=31.0, cpu_ms=40.0),
    PAGE: replace(ALONE, period_p99_ms=24.0),
}


def test_the_share_of_a_core_is_that_of_all_pictures_of_a_second():
    assert core_share(ALONE, rate_hz=10.0) == pytest.approx(30.0)


def test_goals_compare_those_who_look_with_nobody():
    found = {goal.name: goal for goal in goals([ROUND] * 3, rate_hz=10.0)}
    assert found['more of one core, %, as RViz'].measured.median == pytest.approx(10.0)
    assert [name for name, goal in found.items() if not goal.holds] == [
        'p99 of the tick, 5 browsers / nobody'
    ]


def test_the_table_has_a_line_for_each():
    lines = table([ROUND], rate_hz=10.0).splitlines()
    assert [line.partition('  ')[0] for line in lines[1:4]] == list(ROUND)


@pytest.mark.ros
@pytest.mark.graph
@pytest.mark.xdist_group('graph')
@pytest.mark.parametrize('name', [RVIZ, PAGE])
def test_the_graph_answers_while_somebody_looks(name):
    if name == PAGE:
        pytest.importorskip('websockets', reason='the extra viz is not installed')
    load = Load(frames=10, rate_hz=10.0, size=(320, 240))
    sample = measure(subjects(load)[name], load)
    assert 0.5 < sample.delivered <= 1.0
    assert sample.pose_ms > sample.latency_ms / 2
