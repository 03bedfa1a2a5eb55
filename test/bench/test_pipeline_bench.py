"""The pipeline benchmark: its arithmetic, and that its baselines still run."""

from dataclasses import replace
import math
import os
import subprocess
import sys

import pytest

from vla_ros.bench.pipeline import (
    added,
    APART,
    children_cpu_s,
    COMPOSED,
    FLOOR,
    goals,
    GRPC,
    LEAST,
    Load,
    measure,
    NAIVE,
    PLAIN,
    Sample,
    subjects,
    table,
    WEBSOCKET,
)
from vla_ros.errors import ConfigurationError

RECORD = {'sent': 1, 'latencies_ms': [1.0], 'periods_ms': [20.0]}
FAST = Sample(
    latency_ms=10.0,
    latency_p95_ms=12.0,
    delivered=1.0,
    cpu_ms=5.0,
    period_p99_ms=21.0,
    late=0.0,
)
ROUND = {
    FLOOR: FAST,
    PLAIN: replace(FAST, latency_ms=30.0, cpu_ms=15.0),
    APART: replace(FAST, latency_ms=16.0, cpu_ms=10.0),
    COMPOSED: replace(FAST, latency_ms=11.0, cpu_ms=6.0, delivered=0.98),
}


def test_a_sample_is_told_by_a_frame():
    record = {'sent': 4, 'latencies_ms': [1.0, 3.0, 2.0], 'periods_ms': [20.0, 20.0, 30.0, 20.0]}
    sample = Sample.of(record, cpu_s=0.02)
    assert (sample.latency_ms, sample.delivered, sample.cpu_ms) == (2.0, 0.75, 5.0)
    assert sample.late == 0.25


def test_without_ticks_there_is_no_period():
    assert math.isnan(Sample.of({**RECORD, 'periods_ms': []}, 0.0).period_p99_ms)


def test_a_subject_that_answers_nothing_is_no_fast_one():
    with pytest.raises(ConfigurationError, match='no picture'):
        Sample.of({**RECORD, 'latencies_ms': []}, 0.0)


def test_what_is_added_is_above_the_bare_calls_of_the_same_round():
    assert added([ROUND], 'latency_ms') == [{FLOOR: 0.0, PLAIN: 20.0, APART: 6.0, COMPOSED: 1.0}]


def test_goals_compare_medians_with_their_limits():
    found = {goal.name: goal for goal in goals([ROUND] * 3)}
    assert found['latency added, composed / plain'].measured.median == pytest.approx(0.05)
    assert {name for name, goal in found.items() if not goal.holds} == {'delivered, composed'}


def test_a_server_that_was_measured_is_a_goal_as_well():
    served = {**ROUND, WEBSOCKET: replace(FAST, latency_ms=20.0)}
    found = {goal.name: goal for goal in goals([served])}
    assert found['latency added, composed / websocket'].measured.median == pytest.approx(0.1)


def test_the_table_has_a_line_for_each_subject():
    lines = table([ROUND]).splitlines()
    assert [line.startswith(name) for line, name in zip(lines[1:], ROUND, strict=False)] == [
        True
    ] * len(ROUND)


def test_baselines_get_none_of_our_settings_of_the_middleware(monkeypatch):
    for name in tuple(os.environ):
        if name.startswith(('FASTDDS', 'FASTRTPS', 'ROS_AUTOMATIC')):
            monkeypatch.delenv(name)
    compared = subjects(Load())
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' in compared[COMPOSED].environment
    assert set(compared[PLAIN].environment) == {'PYTHONPATH', 'ROS_AUTOMATIC_DISCOVERY_RANGE'}


def test_the_time_of_a_child_is_counted_as_its_own():
    work = 'for _ in range(20): sum(range(500_000))\nprint(flush=True)\ninput()'
    child = subprocess.Popen(
        [sys.executable, '-c', work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        child.stdout.readline()
        assert children_cpu_s()[child.pid] > 0.0
    finally:
        child.kill()
        child.communicate()


@pytest.mark.ros
@pytest.mark.graph
@pytest.mark.xdist_group('graph')
@pytest.mark.parametrize('name', [FLOOR, PLAIN, LEAST, WEBSOCKET, GRPC])
def test_a_baseline_runs(name):
    load = Load(frames=10, rate_hz=20.0, size=(320, 240))
    compared = subjects(load)
    if name not in compared:
        pytest.skip('the extra bench is not installed')
    sample = measure(compared[name], load)
    assert sample.latency_ms > 0.0
    assert 0.5 < sample.delivered <= 1.0
    assert sample.cpu_ms > 0.0


@pytest.mark.ros
@pytest.mark.graph
@pytest.mark.xdist_group('graph')
def test_the_naive_node_answers_one_picture_a_second():
    load = Load(frames=50, rate_hz=20.0, size=(320, 240))
    assert 0.0 < measure(subjects(load)[NAIVE], load).delivered < 0.1


def test_a_subject_whose_node_cannot_start_is_told_with_its_own_words(monkeypatch):
    monkeypatch.setattr('vla_ros.bench.pipeline.READY_S', 60.0)
    load = Load(frames=1)
    subject = subjects(load)[FLOOR]
    broken = replace(subject.specs[0], arguments=('--frames', 'many'))
    with pytest.raises(ConfigurationError, match="invalid int value: 'many'"):
        measure(replace(subject, specs=(broken,)), load)
