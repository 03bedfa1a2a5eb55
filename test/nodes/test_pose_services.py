"""What a user may ask of the pose node: stops, releases, confirmation, lower limits."""

from dataclasses import fields
import math
from pathlib import Path

import numpy as np
from pose_bench import Bench
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from vla_ros.geometry import Pose
from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    command_to_message,
    pose_from_message,
    pose_to_message,
    to_ns,
)
from vla_ros.nodes.params import PoseParams

pytestmark = pytest.mark.ros


def test_the_estop_latches_until_reset_and_a_new_command(running):
    assert running.trigger('estop').success
    running.wait_for('estopped', 'estop')
    running.command('push the ball')
    running.rest()
    assert running.told()['state'] == 'estopped'
    assert running.trigger('reset').success
    running.wait_for('idle', 'no_command')
    running.command('push the ball')
    running.wait_for('running', 'ok')


def test_reset_without_an_estop_says_so(bench):
    response = bench.trigger('reset')
    assert (response.success, response.message) == (False, 'there is no e-stop to release')


def test_the_estop_survives_a_restart_of_the_node(graph, running):
    assert running.trigger('estop').success
    graph.remove(running.node)
    again = Bench(graph)
    again.wait_for('estopped', 'estop')
    again.command()
    assert again.is_told_nothing()
    assert again.trigger('reset').success
    graph.remove(again.node)
    Bench(graph).wait_for('idle', 'no_command')


def test_a_latch_that_cannot_be_removed_is_told_as_that(running, monkeypatch):
    assert running.trigger('estop').success

    def refuse(path, **_):
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(Path, 'unlink', refuse)
    response = running.trigger('reset')
    assert response.success
    told = 'released, but the e-stop will be latched again after a restart of this node: '
    assert response.message.startswith(told)
    assert 'Permission denied' in response.message


def test_a_latch_that_cannot_be_kept_is_told_as_that(running, monkeypatch, capfd):
    def refuse(path, _):
        raise OSError(28, 'No space left on device', str(path))

    monkeypatch.setattr(Path, 'write_text', refuse)
    assert running.trigger('estop').success
    assert 'the e-stop would not survive a restart of this node: ' in capfd.readouterr().err


def test_the_estop_button_holds_and_refuses_reset_while_pressed_or_silent(running):
    button = running.graph.publisher(wiring.ESTOP_BUTTON)
    pressed = [True]
    timer = running.graph.peer.create_timer(0.05, lambda: button.publish(Bool(data=pressed[0])))
    running.wait_for('estopped', 'estop')
    response = running.trigger('reset')
    assert (response.success, response.message) == (False, 'the e-stop button is pressed')
    pressed[0] = False
    running.graph.until(lambda: running.trigger('reset').success)
    running.wait_for('idle', 'no_command')
    timer.cancel()
    running.wait_for('estopped', 'estop')
    assert running.trigger('reset').message == 'the e-stop button is silent'


def test_with_confirmation_a_command_waits_for_enable(graph):
    bench = Bench(graph, confirm_before_motion=True)
    bench.command()
    bench.wait_for('holding', 'awaiting_confirmation')
    assert bench.is_told_nothing()
    graph.call(SetBool, 'pose/enable', SetBool.Request(data=True))
    bench.wait_for('running', 'ok')


@pytest.mark.parametrize('topic', [wiring.ROBOT_ACTION, wiring.ACTION_CHUNK])
def test_a_second_publisher_holds_and_is_reported_until_it_has_gone(running, topic):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    stranger = running.graph.add(Node('stranger'))
    topic.publisher(stranger)
    running.wait_for('holding', 'second_publisher')
    running.rest()
    running.graph.until(lambda: f'/{topic.name} has 2 publishers' in str(health[-1:]))
    assert '/stranger' in str(health[-1])
    running.graph.remove(stranger)
    running.wait_for('running', 'ok')


def test_of_two_places_of_the_robot_none_is_believed(running):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    stranger = running.graph.add(Node('stranger'))
    publisher = wiring.ROBOT_POSE.publisher(stranger)
    running.wait_for('holding', 'second_publisher')
    running.graph.until(lambda: 'ticks_measured_pose_late' in str(health[-1:]))
    assert running.told()['reason'] == 'second_publisher'
    running.spin(0.5)  # to rest, then silence: nobody knows where the robot is
    running.actions.clear()
    lie = Pose.of((0.3, 0.2, 0.1), running.robot.quaternion)
    for _ in range(20):
        publisher.publish(pose_to_message(lie, running.now_ns(), 'base_link'))
        running.spin(0.02)
    assert not running.actions
    running.graph.remove(stranger)
    running.wait_for('running', 'ok')
    assert abs(pose_from_message(running.actions[0]).position - lie.position).max() > 0.05


def test_a_command_beside_a_second_command_node_ends_the_task(running):
    stranger = running.graph.add(Node('stranger'))
    publisher = wiring.COMMAND_EMBEDDING.publisher(stranger)
    command = EncodedCommand('push', running.now_ns(), np.ones((3, 4), np.float32))
    publisher.publish(command_to_message(command))
    running.wait_for('holding', 'stopped')
    running.graph.remove(stranger)
    running.spin(0.3)
    assert running.told()['reason'] == 'stopped'
    assert running.told()['command'] != 'push'


def set_parameter(bench: Bench, name: str, value: object) -> tuple[bool, str]:
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    result = bench.graph.call(SetParameters, 'pose/set_parameters', request).results[0]
    return result.successful, result.reason


LOWERABLE = [f for f in fields(PoseParams) if f.metadata.get('lowerable')]
OTHERS = [f for f in fields(PoseParams) if not f.metadata.get('lowerable')]


def test_limits_may_only_be_lowered_while_it_runs(bench):
    for f in LOWERABLE:
        now = getattr(PoseParams(), f.name)
        is_set, reason = set_parameter(bench, f.name, (now + f.metadata['le']) / 2)
        assert not is_set
        assert f'{f.name} is {now} and may only be lowered' in reason
        assert set_parameter(bench, f.name, 0.9 * now) == (True, '')
        assert bench.node.get_parameter(f.name).value == 0.9 * now


@pytest.mark.parametrize(
    'value', [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 'slow', True, [0.1], None]
)
def test_a_limit_that_is_none_is_refused_with_a_reason_and_the_old_one_kept(bench, value):
    for f in LOWERABLE:
        is_set, reason = set_parameter(bench, f.name, value)
        assert not is_set
        assert reason
        assert bench.node.get_parameter(f.name).value == getattr(PoseParams(), f.name)


def test_whatever_is_no_limit_cannot_change_while_it_runs(bench):
    for f in OTHERS:
        before = bench.node.get_parameter(f.name).value
        is_set, reason = set_parameter(bench, f.name, before)
        assert not is_set
        assert 'read-only' in reason


def test_a_lowered_limit_holds_at_once(running):
    assert set_parameter(running, 'max_speed_m_s', 0.02) == (True, '')
    running.spin(0.4)
    running.actions.clear()
    running.spin(0.4)
    path = [pose_from_message(m).position for m in running.actions]
    times = [to_ns(m.header.stamp) * 1e-9 for m in running.actions]
    speed = np.linalg.norm(path[-1] - path[0]) / (times[-1] - times[0])
    assert 0.015 < speed < 0.0205


def test_cancel_ends_the_task(running):
    assert running.trigger('cancel').success
    running.wait_for('holding', 'cancelled')
    assert not running.trigger('cancel').success


def test_motion_can_be_disabled_and_enabled(running):
    response = running.graph.call(SetBool, 'pose/enable', SetBool.Request(data=False))
    assert response.message == 'disabled until this node ends; ~/estop outlasts it'
    running.wait_for('holding', 'disabled')
    running.rest()
    running.graph.call(SetBool, 'pose/enable', SetBool.Request(data=True))
    running.wait_for('running', 'ok')
