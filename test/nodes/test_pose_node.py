"""The pose node over real topics, with a robot that goes where it is sent."""

import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
import numpy as np
from pose_bench import Bench, GOAL, START
import pytest
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    EncodedCommand,
)
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    command_to_message,
    pose_from_message,
    to_ns,
    to_stamp,
)
from vla_ros.nodes.pose_node import PoseNode

pytestmark = pytest.mark.ros


def test_without_a_workspace_it_refuses_to_start_and_says_the_fix(graph):
    with pytest.raises(ConfigurationError, match='workspace_min: '):
        PoseNode()


def test_it_imports_no_learning_framework():
    code = (
        'import sys, vla_ros.nodes.pose_node; '
        "print(sorted({'torch', 'onnxruntime', 'mujoco'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


def test_nothing_is_published_before_the_robot_is_measured(graph):
    bench = Bench(graph, robot=None)
    bench.command()
    bench.wait_for('holding', 'no_measured_pose')
    assert bench.is_told_nothing()


def test_without_a_command_the_robot_is_told_nothing(bench):
    assert bench.is_told_nothing()
    assert bench.told()['state'] == 'idle'


def test_it_follows_the_chunks_at_its_rate_and_within_its_limits(running):
    running.graph.until(lambda: running.way_m() > 0.199)
    path = np.array([pose_from_message(m).position for m in running.actions])
    stamps = np.array([to_ns(m.header.stamp) for m in running.actions])
    # A message may be lost on the way; a stamp is taken within a millisecond of its tick.
    steps_m, times_s = np.linalg.norm(np.diff(path, axis=0), axis=1), np.diff(stamps) * 1e-9
    assert (steps_m <= 0.25 * (times_s + 0.001)).all()
    assert np.median(times_s) == pytest.approx(0.02, rel=0.2)
    assert {m.header.frame_id for m in running.actions} == {'base_link'}
    assert running.grippers[-1].data == pytest.approx(0.7)


def test_status_tells_command_latency_and_path(running):
    running.graph.until(lambda: running.way_m() > 0.199)
    count = len(running.statuses)
    running.graph.until(lambda: len(running.statuses) > count)
    told = running.told()
    assert told['command'] == 'pick up the red block'
    assert told['command_stamp_ns'] == str(running.command_ns)
    assert 0.0 < float(told['latency_p50_ms']) <= float(told['latency_p95_ms']) < 1000.0
    assert 0.19 < float(told['path_length_m']) < 0.21
    assert running.statuses[-1].message == 'running: pick up the red block'


def test_stop_as_text_holds_at_once(running):
    running.graph.publish(wiring.COMMAND, String(data='Stop!'))
    running.wait_for('holding', 'stopped')
    running.rest()


def test_an_empty_embedding_holds(running):
    empty = EncodedCommand('gibberish', running.now_ns(), np.zeros((0, 4), np.float32))
    running.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(empty))
    running.wait_for('holding', 'stopped')


def test_an_unreadable_embedding_holds(running):
    running.graph.publish(wiring.COMMAND_EMBEDDING, Image(encoding='rgb8', height=3, width=2))
    running.wait_for('holding', 'stopped')


def test_a_command_from_before_its_start_is_not_obeyed(bench):
    bench.spin(0.1)
    old = EncodedCommand('push', bench.now_ns() - 60_000_000_000, np.ones((3, 4), np.float32))
    bench.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(old))
    bench.spin(0.3)
    assert bench.told()['state'] == 'idle'


@pytest.mark.parametrize('stamp_ns', [0, 1, 10**9])
def test_a_command_that_is_too_old_is_told_and_counted(running, stamp_ns):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    old = EncodedCommand('push', stamp_ns, np.ones((3, 4), np.float32))
    running.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(old))
    running.graph.until(lambda: 'rejected_command_too_old' in str(health[-1:]))
    assert running.told()['command'] == 'pick up the red block'


def test_a_command_while_the_estop_is_latched_is_told_and_counted(running):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    assert running.trigger('estop').success
    running.command('push the ball')
    running.graph.until(lambda: 'rejected_command_while_estopped' in str(health[-1:]))


def test_the_same_command_delivered_again_is_not_told(running):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    again = EncodedCommand('push', running.command_ns, np.ones((3, 4), np.float32))
    running.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(again))
    running.spin(0.3)  # else the next would take its place
    running.graph.publish(wiring.COMMAND_EMBEDDING, Image(encoding='rgb8'))
    running.graph.until(lambda: 'rejected_command_malformed' in str(health[-1:]))
    assert 'rejected_command_too_old' not in str(health[-1])


def test_silence_of_the_policy_holds(running):
    running.policy_is_on = False
    silent_s = time.monotonic()
    running.wait_for('holding', 'image_old')
    # camera_timeout_s and a busy machine
    assert time.monotonic() - silent_s < 0.2 + 0.3
    running.rest()


def test_loss_of_the_robot_pose_holds_and_the_next_start_is_where_the_robot_then_is(running):
    running.robot = None
    running.wait_for('holding', 'measured_pose_late')
    running.spin(0.5)  # to rest, then silence: nobody knows where the robot is
    running.actions.clear()
    running.spin(0.3)
    assert not running.actions
    running.robot = elsewhere = Pose.of((0.45, 0.0, 0.25), START.quaternion)
    running.graph.until(lambda: running.actions)
    first = pose_from_message(running.actions[0]).position
    assert np.linalg.norm(first - elsewhere.position) < 0.005


def test_a_robot_pose_that_is_sent_again_and_again_grows_old(running):
    running.pose_ns = running.now_ns()
    running.wait_for('holding', 'measured_pose_late')
    running.pose_ns = None
    running.wait_for('running', 'ok')


def test_a_robot_pose_without_a_stamp_is_judged_by_its_arrival(running):
    running.pose_ns = 0
    running.spin(0.5)
    assert running.told()['state'] == 'running'


@pytest.mark.parametrize(
    ('ahead_s', 'told'), [(-1.0, 's before it comes, valid: 0.2 s'), (1.0, 's after it comes')]
)
def test_a_robot_pose_is_as_old_as_its_stamp_says(running, ahead_s, told):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    running.pose_ahead_s = ahead_s
    running.wait_for('holding', 'measured_pose_late')
    running.graph.until(lambda: told in str(health[-1:]))
    assert f'robot_pose is stamped {abs(ahead_s):.1f}' in health[-1].status[0].message
    running.pose_ahead_s = 0.0
    running.wait_for('running', 'ok')


def test_a_robot_pose_from_the_future_is_never_taken(graph):
    bench = Bench(graph, robot=None)
    health = graph.listen(wiring.DIAGNOSTICS)
    bench.robot, bench.pose_ahead_s = START, 60.0
    graph.until(lambda: 'rejected_robot_pose_from_the_future' in str(health[-1:]))
    assert 'after it comes, valid: 0.05 s at most' in health[-1].status[0].message
    assert bench.actions == []
    bench.pose_ahead_s = 0.04  # as clocks of machines that are kept in step may differ
    graph.until(lambda: 'idle: no_command' in str(health[-1:]))


def test_without_a_task_it_tells_that_the_robot_is_in_another_frame(graph):
    bench = Bench(graph)
    health = graph.listen(wiring.DIAGNOSTICS)
    bench.pose_frame = 'world'
    sentence = "robot_pose is in 'world', expected 'base_link': set base_frame or republish it"
    bench.graph.until(lambda: bench.statuses[-1].message == f'idle: {sentence}')
    assert bench.statuses[-1].level == DiagnosticStatus.ERROR
    assert bench.told()['reason'] == 'no_command'
    bench.graph.until(lambda: health and health[-1].status[0].message == sentence)
    assert health[-1].status[0].level == DiagnosticStatus.ERROR
    bench.pose_frame = 'base_link'
    bench.graph.until(lambda: bench.statuses[-1].message == 'idle: no_command')
    assert bench.statuses[-1].level == DiagnosticStatus.OK


def test_chunks_of_another_command_are_not_played(running):
    running.command_ns += 1
    running.wait_for('holding', 'image_old')


def test_a_chunk_in_another_frame_holds(running):
    running.frame_id = 'camera_optical_frame'
    running.wait_for('holding', 'action_in_wrong_frame')


def test_a_chunk_with_a_nan_is_refused_and_counted(running):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    running.goal = Pose.of((np.nan, 0.0, 0.2), GOAL.quaternion)
    running.wait_for('holding', 'image_old')
    running.graph.until(lambda: 'rejected_chunk_malformed' in str(health))


def test_garbage_on_every_topic_moves_and_ends_nothing(running):
    publish, rng = running.graph.publish, np.random.default_rng(0)
    running.graph.publish(wiring.ACTION_CHUNK, JointTrajectory())
    publish(wiring.ROBOT_POSE, PoseStamped())
    for topic in (wiring.ACTION_CHUNK, wiring.COMMAND_EMBEDDING, wiring.ROBOT_POSE):
        for size in (0, 4, 30, 300):
            publish(topic, b'\x00\x01\x00\x00' + rng.bytes(size))
    running.spin(0.2)
    count = len(running.actions)
    running.graph.until(lambda: len(running.actions) > count + 3)
    assert np.isfinite([pose_from_message(m).vector() for m in running.actions]).all()


def test_a_policy_that_is_done_ends_the_task(running):
    running.termination = 0.9
    running.wait_for('succeeded', 'task_done')
    running.rest()


@pytest.mark.parametrize(
    ('refusals', 'reason'),
    [
        ((0.6, 0.0, 0.0), 'command_not_understood'),
        ((0.2, 0.4, 0.1), 'object_unclear'),
        ((0.1, 0.1, 0.7), 'object_not_seen'),
    ],
)
def test_a_command_that_the_policy_refuses_ends_before_anything_moves(bench, refusals, reason):
    bench.refusals = refusals
    bench.command()
    bench.wait_for('holding', reason)
    assert bench.is_told_nothing()


def test_a_command_before_the_first_time_on_clock_is_told_and_counted(graph):
    health = graph.listen(wiring.DIAGNOSTICS)
    bench = Bench(graph, use_sim_time=True)
    tokens = np.ones((3, 4), dtype=np.float32)
    command = EncodedCommand('push', 1, tokens)
    graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))
    graph.until(lambda: 'rejected_command_before_clock' in str(health[-1:]))
    status = health[-1].status[0]
    assert status.level == DiagnosticStatus.ERROR
    assert status.message.startswith('use_sim_time is set and nothing has come on /clock: ')
    clock = graph.peer.create_publisher(ClockMessage, '/clock', 1)
    graph.until(lambda: clock.get_subscription_count())
    clock.publish(ClockMessage(clock=to_stamp(10**9)))
    graph.until(lambda: 'use_sim_time' not in health[-1].status[0].message)
    assert bench.told()['state'] == 'idle'


def test_a_command_from_the_future_is_told_and_ends_the_task(running):
    health = running.graph.listen(wiring.DIAGNOSTICS)
    ahead_ns = running.now_ns() + 10**10
    command = EncodedCommand('push', ahead_ns, np.ones((3, 4), dtype=np.float32))
    running.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))
    running.wait_for('holding', 'stopped')
    running.graph.until(lambda: 'rejected_command_from_the_future' in str(health[-1:]))
    running.rest()
    running.command('point at the ball')
    running.wait_for('running', 'ok')


def test_a_stop_from_the_future_stops_now_and_keeps_older_commands_out(running):
    old = EncodedCommand('push', running.now_ns(), np.ones((3, 4), dtype=np.float32))
    empty = EncodedCommand('', running.now_ns() + 10**10, np.zeros((0, 4), np.float32))
    running.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(empty))
    running.wait_for('holding', 'stopped')
    running.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(old))
    running.spin(0.3)
    assert running.told()['reason'] == 'stopped'


@pytest.mark.parametrize('ahead_s', [0.0, 60.0], ids=['of that clock', 'of one that goes on'])
def test_a_stalled_ros_clock_leads_to_a_hold_and_not_to_silence(graph, ahead_s):
    """While the clock stands, a robot_pose is judged by its arrival, whatever its stamp."""
    clock = graph.peer.create_publisher(ClockMessage, '/clock', 1)
    bench = Bench(graph, use_sim_time=True)
    started_s = time.monotonic()

    def tell_time() -> None:
        ns = round((time.monotonic() - started_s + 1.0) * 1e9)
        clock.publish(ClockMessage(clock=to_stamp(ns)))

    timer = graph.peer.create_timer(0.01, tell_time, clock=Clock(clock_type=ClockType.STEADY_TIME))
    graph.until(lambda: bench.now_ns() > 1_500_000_000)
    bench.run()
    timer.cancel()
    bench.policy_is_on = False
    bench.pose_ahead_s = ahead_s
    bench.wait_for('holding', 'action_late')
    bench.rest()
