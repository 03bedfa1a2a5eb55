"""Several robots on one inference node: each has its own frames, chunks and warnings."""

from dataclasses import replace

from inference_bench import command, image, inference_node, Robot, status
import numpy as np
import pytest
from std_msgs.msg import Float32
from tiny_policy import write_policy

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    chunk_from_message,
    pose_to_message,
)
from vla_ros.nodes.params import InferenceParams
from vla_ros.nodes.robot_port import RobotPort

pytestmark = pytest.mark.ros


@pytest.fixture
def path(tmp_path):
    return write_policy(tmp_path / 'tiny.pt')


class Arm(Robot):
    """One of several robots that share the policy."""

    def __init__(self, graph, namespace):
        super().__init__(graph)
        self.topic = lambda topic: replace(topic, name=f'{namespace}/{topic.name}')
        self.chunks = graph.listen(self.topic(wiring.ACTION_CHUNK))

    def publish(self, height_m, stamp_ns, frame=None, **what):
        pose = Pose.of((0.1, 0.2, height_m), (1, 0, 0, 0))
        self.graph.publish(self.topic(wiring.COMMAND_EMBEDDING), command())
        self.graph.publish(self.topic(wiring.ROBOT_POSE), pose_to_message(pose, 7, 'base_link'))
        self.graph.publish(self.topic(wiring.GRIPPER_STATE), Float32(data=0.5))
        self.graph.publish(self.topic(wiring.IMAGE), frame or image(stamp_ns))

    def heights_m(self):
        return {round(chunk_from_message(c).column('position.z')[0], 3) for c in self.chunks}


@pytest.fixture
def arms(graph, path):
    node = inference_node(graph, path, robots=['left', 'right'])
    return node, Arm(graph, 'left'), Arm(graph, 'right')


def test_several_robots_share_the_policy_and_each_gets_its_own_chunks(graph, arms):
    _, left, right = arms

    def served():
        left.publish(0.1, stamp_ns=1)
        right.publish(0.4, stamp_ns=2)
        return left.chunks and right.chunks

    graph.until(served)
    assert (left.heights_m(), right.heights_m()) == ({0.1}, {0.4})
    assert {chunk_from_message(c).stamp_ns for c in right.chunks} == {2}


def test_one_robots_silence_delays_no_other_and_is_told(graph, arms):
    _, left, right = arms

    def served():
        left.publish(0.1, stamp_ns=1)
        return len(left.chunks) >= 3 and 'no frame on /right/vla/image' in left.report()

    graph.until(served)
    assert not right.chunks


def test_the_end_of_one_robots_task_ends_that_of_no_other(graph, arms):
    node, left, right = arms
    graph.publish(right.topic(wiring.STATUS), status('task_done'))
    graph.until(lambda: node._ports[1]._ended)

    def served():
        left.publish(0.1, stamp_ns=1)
        right.publish(0.4, stamp_ns=2)
        return len(left.chunks) >= 3 and node._ports[1].frames.count >= 3

    graph.until(served)
    assert not right.chunks


def test_one_robots_bad_input_stops_no_other(graph, arms):
    node, left, right = arms
    wrong = image(pixels=np.zeros((9, 9, 3), np.uint8))

    def served():
        left.publish(0.1, stamp_ns=1)
        right.publish(0.4, stamp_ns=2, frame=wrong)
        return len(left.chunks) >= 3 and node._ports[1].errors

    graph.until(served)
    assert not right.chunks
    assert node._ports[0].errors == 0


def logged(capfd):
    """Return the warnings in the log since the last call, without time and node."""
    lines = capfd.readouterr().err.splitlines()
    return [line.partition(']: ')[2] for line in lines if 'WARN' in line]


def test_a_warning_hides_no_other_and_no_other_robots(graph, capfd, monkeypatch):
    left, right = (RobotPort(graph.peer, name, InferenceParams()) for name in ('left', 'right'))
    for port in (left, right, left):
        port.warn('the pose is stamped 0.71 s before the image')
        port.warn('the pose is stamped 1.23 s before the image')
    left.fail('inference failed')
    assert logged(capfd) == [
        'left: the pose is stamped 0.71 s before the image',
        'right: the pose is stamped 0.71 s before the image',
        'left: inference failed',
    ]
    assert left.problem == 'inference failed'
    monkeypatch.setattr('vla_ros.nodes.robot_port.WARNING_PERIOD_S', 0.0)
    left.fail('inference failed')
    assert logged(capfd) == ['left: inference failed']


@pytest.mark.parametrize('names', [['1st'], ['a', 'a'], ['/a'], ['a/'], ['gré'], ['a__b']])
def test_names_that_cannot_be_namespaces_are_told(graph, path, names):
    with pytest.raises(ConfigurationError, match='robots: got'):
        inference_node(graph, path, robots=names)
