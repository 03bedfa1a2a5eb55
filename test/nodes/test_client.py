"""The user's side of the graph: the client, and the commands that stand on it."""

from contextlib import contextmanager
import os
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from pose_bench import OneToken, parameters, WORKSPACE
import pytest
import rclpy
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String

from vla_ros.cli import main
from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client, Status, UNKNOWN
from vla_ros.nodes.command_node import CommandNode
from vla_ros.nodes.conversions import pose_to_message
from vla_ros.nodes.pose_node import PoseNode

pytestmark = pytest.mark.ros


@pytest.fixture
def pair(graph):
    """The two nodes that hear commands."""
    graph.add(PoseNode(parameter_overrides=parameters(**WORKSPACE)))
    graph.add(CommandNode(encoder=OneToken()))
    return graph


@contextmanager
def client(graph, **options):
    """A client that keeps the graph spinning while it waits."""
    user = Client(on_spin=lambda: graph._executor.spin_once(timeout_sec=0.0), **options)
    try:
        yield user
    finally:
        user.close()


def vla_ros(graph, *arguments: str) -> tuple[int, str]:
    """Run a command beside the graph; return its exit code and what it printed."""
    return run_beside(graph, '-m', 'vla_ros.cli', *arguments)


def run_beside(graph, *arguments: str) -> tuple[int, str]:
    """Run Python beside the graph; return its exit code and what it printed."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    )
    try:
        graph.until(lambda: process.poll() is not None, timeout_s=40.0)
    finally:
        process.kill()
        output, _ = process.communicate()
    return process.returncode, output


def test_before_the_first_status_nothing_is_known(graph):
    with client(graph) as user:
        assert user.status is UNKNOWN


def test_the_status_is_read(graph):
    values = {'state': 'holding', 'reason': 'no_action', 'command': 'x', 'command_stamp_ns': '7'}
    status = Status.from_message(
        DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in values.items()])
    )
    assert (status.state, status.reason, status.command_stamp_ns) == ('holding', 'no_action', 7)
    assert status.line() == 'holding: no action'


def test_a_status_without_its_values_is_survived(graph):
    assert Status.from_message(DiagnosticStatus()).state == ''


def test_a_command_said_once_arrives_at_once(pair):
    with client(pair) as user:
        user.wait_graph()
        heard = pair.listen(wiring.COMMAND)
        user.say('pick up the red block')
        assert user.wait(lambda: heard, 5.0)
        assert heard[0].data == 'pick up the red block'
        assert user.wait(lambda: user.status.command == 'pick up the red block', 5.0)


def test_others_that_listen_are_not_taken_for_the_command_node(graph):
    graph.add(PoseNode(parameter_overrides=parameters(**WORKSPACE)))
    for _ in range(2):
        graph.listen(wiring.COMMAND)
    with client(graph) as user:
        assert user.wait(lambda: user._commands.get_subscription_count() == 3, 20.0)
        with pytest.raises(ConfigurationError, match='the command node does not listen on /natu'):
            user.wait_graph(timeout_s=1.0)
        graph.add(CommandNode(encoder=OneToken()))
        assert user.wait_graph().state == 'idle'


def test_a_topic_of_another_name_is_heard_there(graph):
    publisher = graph.peer.create_publisher(DiagnosticStatus, '/elsewhere', wiring.STATUS.qos)
    publisher.publish(DiagnosticStatus(values=[KeyValue(key='state', value='idle')]))
    with client(graph, namespace='arm', remap='vla/status:=/elsewhere') as user:
        assert user.wait_status().state == 'idle'


@pytest.mark.parametrize(
    'command', ['say x', 'status', 'record', 'viz', 'reset', 'up robot', 'up sim']
)
@pytest.mark.parametrize(
    ('remap', 'reason'),
    [('robot_actoin:=/x', 'did you mean robot_action?'), ('robot_action', 'valid: OLD:=NEW')],
)
def test_every_command_refuses_a_remap_of_no_topic(command, remap, reason, capsys):
    assert main([*command.split(), '--remap', remap]) == 2
    assert reason in capsys.readouterr().err


def test_record_tells_what_it_never_heard(pair, tmp_path):
    pytest.importorskip('rosbags', reason='the extra record is not installed')
    flags = ['--seconds', '1', '--remap', 'robot_action:=/arm/target']
    code, output = vla_ros(pair, 'record', '--out', str(tmp_path / 'bag'), *flags)
    assert code == 0, output
    (told,) = [line for line in output.splitlines() if line.startswith('nothing came on')]
    assert '/robot_action,' in told  # the pose node says it, but not there
    assert '/vla/status,' not in told


def test_a_wait_in_vain_ends(graph):
    with client(graph) as user:
        begun_s = time.monotonic()
        assert not user.wait(lambda: False, 0.2)
        assert time.monotonic() - begun_s < 2.0


def test_without_a_graph_the_user_is_told(graph):
    with (
        client(graph, namespace='elsewhere') as user,
        pytest.raises(ConfigurationError, match='no running graph .* namespace /elsewhere'),
    ):
        user.wait_status(timeout_s=0.3)


def test_readiness_names_what_is_missing(pair):
    missing = 'no policy, camera frame, robot_pose, gripper_state$'
    with client(pair) as user, pytest.raises(TimeoutError, match=missing):
        user.wait_ready(timeout_s=2.0)


def repeat(graph, topic, message):
    """Publish a message 20 times a second from now on."""
    publisher = topic.publisher(graph.peer)
    graph.peer.create_timer(0.05, lambda: publisher.publish(message))


def test_the_graph_is_ready_with_a_policy_a_frame_and_the_robots_state(pair):
    wiring.ACTION_CHUNK.publisher(pair.peer)
    repeat(pair, wiring.IMAGE, Image())
    repeat(pair, wiring.ROBOT_POSE, PoseStamped())
    with client(pair) as user:
        with pytest.raises(TimeoutError, match='no gripper_state$'):
            user.wait_ready(timeout_s=2.0)
        repeat(pair, wiring.GRIPPER_STATE, Float32())
        user.wait_ready(timeout_s=10.0)


def test_a_service_is_called(pair):
    with client(pair) as user:
        assert user.call(wiring.ESTOP).success
        assert user.wait(lambda: user.status.state == 'estopped', 5.0)


def test_a_service_that_nobody_has_is_named(pair):
    with client(pair) as user, pytest.raises(ConfigurationError, match='nobody offers /sim/reset'):
        user.call(wiring.SIM_RESET, timeout_s=0.3)


def test_a_node_that_does_not_answer_is_named(graph):
    hangs = rclpy.create_node('sim')
    wiring.SIM_RESET.serve(hangs, lambda request, response: response)
    try:
        with client(graph) as user, pytest.raises(ConfigurationError, match='the sim node hang'):
            user.call(wiring.SIM_RESET, timeout_s=2.0)
    finally:
        hangs.destroy_node()


def test_the_truth_of_the_sim_is_read(graph):
    publisher = wiring.SIM_STATE.publisher(graph.peer)
    publisher.publish(String(data='{"seed": 3}'))
    with client(graph) as user:
        assert user.wait(lambda: user.sim_state, 5.0)
        assert user.sim_state == {'seed': 3}


def test_status_shows_a_block(pair):
    code, output = vla_ros(pair, 'status')
    assert code == 0
    rows = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert (rows['state'], rows['command']) == ('idle', '(none)')


def test_status_tells_what_is_wrong_node_by_node(pair):
    code, output = vla_ros(pair, 'status')
    assert code == 0
    assert 'pose node      ERROR: nothing came on robot_pose yet' in output
    assert 'camera node    ERROR: nothing heard from it on /diagnostics' in output
    assert 'inference node ERROR: nothing heard from it on /diagnostics' in output
    assert 'command node' not in output


def test_say_prints_why_nothing_moves(pair):
    code, output = vla_ros(pair, 'say', 'pick', 'it', 'up')
    assert (code, output) == (1, 'holding: no measured pose\n')


def test_say_stop_holds(pair):
    robot = wiring.ROBOT_POSE.publisher(pair.peer)
    pose = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
    pair.peer.create_timer(
        0.02,
        lambda: robot.publish(
            pose_to_message(pose, pair.peer.get_clock().now().nanoseconds, 'base_link')
        ),
    )
    assert vla_ros(pair, 'say', 'stop') == (0, 'holding: stopped\n')


def test_say_tells_that_a_command_was_refused(pair):
    code, output = vla_ros(pair, 'say', 'x' * 600)
    assert code == 1
    assert output.startswith('not taken: ')


def test_reset_releases_the_e_stop(pair):
    with client(pair) as user:
        user.call(wiring.ESTOP)
    assert vla_ros(pair, 'reset', '--estop') == (0, 'released; give a command\n')


#: Interrupts itself while it takes messages; a process of its own, for rclpy may have its handlers
#: in this one.
INTERRUPTED = """
import os, random, signal, threading
from vla_ros.nodes.client import Client

rng, armed = random.Random(0), threading.Event()

def interrupt():
    while armed.wait():
        armed.clear()
        threading.Event().wait(rng.uniform(0.0, 0.02))
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
user = Client()
user.wait_status(20.0)
for _ in range(100):
    try:
        armed.set()
        user.wait(lambda: False, 10.0)
    except KeyboardInterrupt:
        continue
    raise AssertionError('no interrupt')
assert user.status_count > 100, user.status_count
user.close()
"""


def test_an_interrupt_in_the_middle_of_a_message_is_still_one(graph):
    """rclpy makes messages in C++, where a KeyboardInterrupt would become its RuntimeError."""
    statuses = wiring.STATUS.publisher(graph.peer)
    many = DiagnosticStatus(values=[KeyValue(key=str(i), value='x') for i in range(2000)])
    graph.peer.create_timer(0.001, lambda: statuses.publish(many))
    assert run_beside(graph, '-c', INTERRUPTED) == (0, '')
