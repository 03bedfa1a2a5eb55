"""The robot of the pipeline benchmark asks until it is answered, and as long as it counts."""

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
import pytest

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, POSE_CHANNELS
from vla_ros.nodes import bench_robot, wiring
from vla_ros.nodes.conversions import chunk_to_message

pytestmark = pytest.mark.ros

START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))


def status(state: str, reason: str) -> DiagnosticStatus:
    told = {'state': state, 'reason': reason, 'latency_p50_ms': '1.0'}
    return DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in told.items()])


def test_a_command_whose_task_has_ended_is_said_again(graph, monkeypatch):
    picture = np.zeros((8, 12, 3), np.uint8), START
    monkeypatch.setattr(bench_robot, 'picture_of_table', lambda size: picture)
    monkeypatch.setattr(bench_robot, 'ASK_AGAIN_S', 0.1)
    robot = graph.add(bench_robot.BenchRobot(100_000, 100.0, (12, 8)))
    said = graph.listen(wiring.COMMAND)
    chunk = ActionChunk(1, 1, 'base_link', POSE_CHANNELS, np.tile(START.vector(), (3, 1)), 0.1)
    graph.publish(wiring.ACTION_CHUNK, chunk_to_message(chunk))
    graph.until(lambda: robot._begun >= 0)
    graph.publish(wiring.STATUS, status('running', 'ok'))
    graph.until(lambda: robot._pose_ms)
    begun = len(robot._sent)
    graph.until(lambda: len(robot._sent) > begun + 50)  # by then none is on its way
    count = len(said)
    graph.until(lambda: len(robot._sent) > begun + 100)
    assert len(said) == count
    graph.publish(wiring.STATUS, status('holding', 'time_budget_spent'))
    graph.until(lambda: len(said) > count)
