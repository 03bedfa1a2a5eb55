"""The pose node over real topics and services, with a robot that goes where it is sent."""

from dataclasses import fields
import math
import subprocess
import sys
import time

from geometry_msgs.msg import PoseStamped
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    ActionChunk,
    EncodedCommand,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    chunk_to_message,
    command_to_message,
    pose_from_message,
    pose_to_message,
    to_ns,
    to_stamp,
)
from vla_ros.nodes.params import PoseParams
from vla_ros.nodes.pose_node import PoseNode

pytestmark = pytest.mark.ros

START = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
GOAL = Pose.of((0.4, 0.2, 0.2), (1.0, 0.0, 0.0, 0.0))
WORKSPACE = {'workspace_min': [0.2, -0.3, 0.0], 'workspace_max': [0.6, 0.3, 0.4]}


def parameters(**values) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


class Bench:
    """A robot and a policy around the pose node; each can be switched off."""

    def __init__(self, graph, robot: Pose | None = START, **changes) -> None:
        self.graph = graph
        self.node = graph.add(PoseNode(parameter_overrides=parameters(**WORKSPACE, **changes)))
        self.actions = graph.listen(wiring.ROBOT_ACTION)
        self.grippers = graph.listen(wiring.GRIPPER_ACTION)
        self.statuses = graph.listen(wiring.STATUS)
        self.robot = robot
        self.policy_is_on = True
        self.goal, self.frame_id = GOAL, 'base_link'
        self.termination = 0.0
        self.refusals = (0.0, 0.0, 0.0)
        self.command_ns = 0
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        graph.peer.create_timer(0.02, self._move, clock=steady)
        graph.peer.create_timer(0.05, self._infer, clock=steady)
        graph.until(lambda: self.statuses)

    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    def _move(self) -> None:
        if self.robot is None:
            return
        pose = pose_from_message(self.actions[-1]) if self.actions else self.robot
        message = pose_to_message(pose, self.now_ns(), 'base_link')
        self.graph.publish(wiring.ROBOT_POSE, message)

    def _infer(self) -> None:
        if self.policy_is_on and self.command_ns:
            self.graph.publish(wiring.ACTION_CHUNK, chunk_to_message(self.chunk()))

    def chunk(self) -> ActionChunk:
        row = [*self.goal.vector(), 0.7, self.termination, *self.refusals]
        return ActionChunk(
            stamp_ns=self.now_ns(),
            command_stamp_ns=self.command_ns,
            frame_id=self.frame_id,
            channels=(*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL, *REFUSAL_CHANNELS),
            values=np.array([row, row, row, row]),
            dt_s=0.1,
        )

    def command(self, text: str = 'pick up the red block') -> None:
        self.command_ns = self.now_ns()
        tokens = np.ones((3, 4), dtype=np.float32)
        command = EncodedCommand(text, self.command_ns, tokens)
        self.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))

    def run(self) -> None:
        """Give a command and wait until the robot moves."""
        self.wait_for('idle', 'no_command')
        self.graph.until(lambda: self.actions)
        self.command()
        self.wait_for('running', 'ok')
        self.graph.until(lambda: self.way_m() > 0.003)

    def way_m(self) -> float:
        return float(np.linalg.norm(pose_from_message(self.actions[-1]).position - START.position))

    def told(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.statuses[-1].values}

    def wait_for(self, state: str, reason: str, timeout_s: float = 20.0) -> None:
        def is_told() -> bool:
            told = self.told()
            return (told['state'], told['reason']) == (state, reason)

        self.graph.until(is_told, timeout_s)

    def rest(self) -> None:
        """Wait until the poses stand still, as they must within the braking time."""
        self.graph.until(lambda: len(self.actions) > 2)
        self.spin(0.3)  # 0.25 m/s at 1 m/s^2 takes 0.25 s
        count = len(self.actions)
        self.graph.until(lambda: len(self.actions) > count + 3)
        held = [pose_from_message(m).position for m in self.actions[count:]]
        assert np.ptp(held, axis=0).max() == 0.0

    def spin(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.graph.until(lambda: time.monotonic() > end_s)

    def trigger(self, name: str):
        return self.graph.call(Trigger, f'pose/{name}', Trigger.Request())


@pytest.fixture
def bench(graph) -> Bench:
    return Bench(graph)


@pytest.fixture
def running(bench) -> Bench:
    bench.run()
    return bench


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
    bench.spin(0.2)
    assert bench.actions == []


def test_without_a_command_it_holds_the_measured_pose(bench):
    bench.rest()
    assert bench.way_m() == 0.0
    assert bench.grippers == []
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
    running.robot = elsewhere = Pose.of((0.45, -0.1, 0.25), START.quaternion)
    running.graph.until(lambda: running.actions)
    first = pose_from_message(running.actions[0]).position
    assert np.linalg.norm(first - elsewhere.position) < 0.005


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
    bench.graph.until(lambda: bench.actions)
    bench.command()
    bench.wait_for('holding', reason)
    bench.rest()
    assert bench.way_m() == 0.0


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
    again.rest()
    assert again.trigger('reset').success
    graph.remove(again.node)
    Bench(graph).wait_for('idle', 'no_command')


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
    graph.until(lambda: bench.actions)
    bench.command()
    bench.wait_for('holding', 'awaiting_confirmation')
    bench.rest()
    assert bench.way_m() == 0.0
    graph.call(SetBool, 'pose/enable', SetBool.Request(data=True))
    bench.wait_for('running', 'ok')


@pytest.mark.parametrize('topic', [wiring.ROBOT_ACTION, wiring.ACTION_CHUNK, wiring.ROBOT_POSE])
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
    running.graph.call(SetBool, 'pose/enable', SetBool.Request(data=False))
    running.wait_for('holding', 'disabled')
    running.rest()
    running.graph.call(SetBool, 'pose/enable', SetBool.Request(data=True))
    running.wait_for('running', 'ok')


def test_a_stalled_ros_clock_leads_to_a_hold_and_not_to_silence(graph):
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
    bench.wait_for('holding', 'action_late')
    bench.rest()
