import math

import pytest
from rclpy.node import Node

from vla_ros.nodes.diagnostics import Durations, Health, report_health, Stream, WARN
from vla_ros.nodes.wiring import DIAGNOSTICS

pytestmark = pytest.mark.ros


def test_health_of_every_namespace_is_on_one_topic_under_the_full_name_of_the_node(graph):
    node = graph.add(Node('probe', namespace='/arm'))
    report_health(node, lambda: Health(WARN, 'warm', {'temperature': 41.25, 'fans': 2}))
    received = []
    graph.peer.create_subscription(DIAGNOSTICS.type, '/diagnostics', received.append, 10)
    graph.until(lambda: received)
    status = received[0].status[0]
    assert (status.name, status.level, status.message) == ('/arm/probe', WARN, 'warm')
    assert [(v.key, v.value) for v in status.values] == [('temperature', '41.25'), ('fans', '2')]


def test_durations_give_percentiles_in_milliseconds():
    durations = Durations()
    for ms in range(1, 102):
        durations.add(ms / 1000.0)
    assert durations.values('latency') == pytest.approx(
        {'latency_p50_ms': 51.0, 'latency_p95_ms': 96.0, 'latency_p99_ms': 100.0}
    )


def test_durations_before_the_first_are_unknown():
    assert all(math.isnan(v) for v in Durations().values('latency').values())


def test_only_the_newest_durations_count():
    durations = Durations(window=2)
    for seconds in (9.0, 1.0, 1.0):
        durations.add(seconds)
    assert durations.values('x')['x_p99_ms'] == pytest.approx(1000.0)


def test_a_stream_counts_and_forgets_its_age_at_each_message():
    stream = Stream()
    before = stream.age_s()
    stream.tick()
    assert stream.count == 1
    assert 0.0 <= before < 1.0
    assert stream.rate_hz() > 0.0
    assert stream.rate_hz() == 0.0
