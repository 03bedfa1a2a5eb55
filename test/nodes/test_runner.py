import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from vla_ros import heartbeat
from vla_ros.nodes.params import NODE_PARAMS
from vla_ros.nodes.runner import Pulse
from vla_ros.nodes.wiring import DIAGNOSTICS

pytestmark = pytest.mark.ros

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from rclpy.node import Node
from vla_ros.errors import ConfigurationError
from vla_ros.nodes.runner import run
{body}
sys.exit(run(Probe))
"""
RUN_TWO = """
import sys
from rclpy.node import Node
from vla_ros.errors import ConfigurationError
from vla_ros.nodes.runner import run_threads
{body}
class Quiet(Node):
    def __init__(self):
        super().__init__('quiet')
sys.exit(run_threads('both', {threads}))
"""
BUSY = """
from std_msgs.msg import String
class Probe(Node):
    def __init__(self):
        super().__init__('probe')
        publisher = self.create_publisher(String, 'text', 1)
        self.create_timer(0.0005, lambda: publisher.publish(String(data='x' * 1000)))
        print('ready', flush=True)
"""
MISTAKE = """
class Probe(Node):
    def __init__(self):
        raise ConfigurationError('rate is -1; valid: above 0')
"""
TELLS = """
import os
class Probe(Node):
    def __init__(self):
        raise ConfigurationError(os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'])
"""
TELL_EXECUTORS = """
import os
from rclpy.clock import Clock, ClockType
from vla_ros.nodes.executors import KeepsTime
class Probe(Node, KeepsTime):
    def __init__(self):
        super().__init__('told', namespace=type(self).__name__)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.ticker = self.create_timer(0.1, self.tell, clock=steady)
    def tell(self):
        line = f'{type(self).__name__} {type(self.executor).__name__}\\n'
        os.write(1, line.encode())  # at once: two threads tell
class Other(Probe):
    pass
class Flooded(Probe):
    def __init__(self):
        super().__init__()
        self.create_timer(0.0, self.breed)
    def breed(self, executor=None):
        executor = executor or self.executor
        for _ in range(2):
            executor.create_task(self.breed, executor)
"""
TELLS_WHAT_LOGS_KNOW = """
import inspect
class Probe(Node):
    def __init__(self):
        super().__init__('probe')
        known = set(inspect.modulesbyfile.values())
        print({'rclpy.node', 'vla_ros.nodes.runner'} <= known, flush=True)
"""
TELL_ORDER = """
from vla_ros.nodes import executors
executors._fault_of = lambda make: print('tried', flush=True) or ''
class Probe(Node):
    def __init__(self):
        super().__init__('probe')
        print('made', flush=True)
"""
BUG = """
class Probe(Node):
    def __init__(self):
        super().__init__('probe')
        self.create_timer(0.01, lambda: 1 / 0)
"""


def start(*command, **variables):
    path = f'{ROOT}:{os.environ.get("PYTHONPATH", "")}'
    environment = {**os.environ, 'PYTHONPATH': path, **variables}
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def probe(body):
    return start('-c', RUN.format(body=body))


@pytest.mark.parametrize(
    'signals',
    [
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGINT, signal.SIGINT],
        [signal.SIGINT, signal.SIGTERM],
        [signal.SIGTERM] * 3,
    ],
)
def test_a_busy_node_ends_cleanly_at_any_signals(signals):
    process = probe(BUSY)
    assert process.stdout.readline() == 'ready\n'
    for each in signals:
        process.send_signal(each)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, '')


def test_a_users_mistake_is_one_line_and_exit_code_2():
    process = probe(MISTAKE)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert output.count('\n') == 1
    assert 'FATAL' in output
    assert 'rate is -1; valid: above 0' in output


@pytest.mark.parametrize(
    ('arguments', 'variables', 'reason'),
    [
        (['--params-file', '/nowhere.yaml'], {}, '/nowhere.yaml'),
        (['-p', 'nonsense'], {}, 'nonsense'),
        ([], {'ROS_DOMAIN_ID': 'seven'}, 'ROS_DOMAIN_ID is not'),
    ],
)
def test_arguments_that_ros_refuses_are_told_without_a_traceback(arguments, variables, reason):
    code = RUN.format(body=BUSY)
    process = start('-c', code, '--ros-args', *arguments, **variables)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert reason in output
    assert 'Traceback' not in output


def test_the_simulator_without_mujoco_says_so_in_one_line(tmp_path):
    (tmp_path / 'mujoco.py').write_text('raise ModuleNotFoundError("no mujoco", name="mujoco")')
    process = start('-m', 'vla_ros.nodes.sim_node', PYTHONPATH=f'{tmp_path}:{ROOT}')
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert output.count('\n') == 1
    assert 'mujoco is missing: activate the environment' in output


def test_a_bug_keeps_its_traceback():
    process = probe(BUG)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert 'Traceback' in output
    assert 'ZeroDivisionError' in output


@pytest.mark.parametrize('own', ['', '/mine.xml'])
def test_a_node_by_its_own_name_gets_the_shared_memory_of_a_graph_or_the_users(own):
    variables = {'FASTRTPS_DEFAULT_PROFILES_FILE': own} if own else {}
    process = start('-c', RUN.format(body=TELLS), **variables)
    output, _ = process.communicate(timeout=20)
    assert (own or 'config/fastdds.xml') in output


def test_an_executor_that_there_is_not_is_refused():
    process = start('-c', RUN.format(body=BUSY), VLA_ROS_EXECUTOR='multi')
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert 'valid: auto, single, events' in output


@pytest.mark.parametrize(
    ('variables', 'executor'),
    [({}, 'EventsExecutor'), ({'VLA_ROS_EXECUTOR': 'single'}, 'SingleThreadedExecutor')],
)
def test_nodes_tick_in_each_thread_with_the_executor_that_is_asked_for(variables, executor):
    pytest.importorskip('rclpy.experimental')
    code = RUN_TWO.format(body=TELL_EXECUTORS, threads='[[Probe], [Other]]')
    process = start('-c', code, **variables)
    told = {process.stdout.readline() for _ in range(6)}
    process.terminate()
    process.communicate(timeout=20)
    assert told == {f'Probe {executor}\n', f'Other {executor}\n'}


def test_a_first_line_of_the_log_looks_at_no_module():
    process = probe(TELLS_WHAT_LOGS_KNOW)
    assert process.stdout.readline() == 'True\n'
    process.terminate()
    process.communicate(timeout=20)


def test_executors_are_tried_once_and_before_anybody_waits_for_a_node():
    code = RUN_TWO.format(body=TELL_ORDER, threads='[[Probe], [Quiet]]')
    process = start('-c', code)
    told = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    output, _ = process.communicate(timeout=20)
    assert told == ['tried\n', 'made\n']
    assert output == ''


def test_after_a_flood_the_node_ticks_on_in_the_usual_executor():
    pytest.importorskip('rclpy.experimental')
    code = RUN_TWO.format(body=TELL_EXECUTORS, threads='[[Flooded]]')
    process = start('-c', code, VLA_ROS_EXECUTOR='events')
    lines = iter(process.stdout.readline, '')
    assert any('flooded with messages' in line for line in lines)
    told = [next(lines) for _ in range(3)]
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert told == ['Flooded SingleThreadedExecutor\n'] * 3


@pytest.mark.parametrize('threads', ['[[Probe], [Quiet]]', '[[Quiet], [Probe]]'])
def test_a_bug_in_any_thread_ends_the_process_with_its_traceback(threads):
    process = start('-c', RUN_TWO.format(body=BUG, threads=threads))
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert 'ZeroDivisionError' in output


@pytest.mark.parametrize('threads', ['[[Probe], [Quiet]]', '[[Quiet], [Probe]]'])
def test_a_users_mistake_for_any_thread_is_one_line_and_exit_code_2(threads):
    process = start('-c', RUN_TWO.format(body=MISTAKE, threads=threads))
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert output.count('\n') == 1
    assert 'rate is -1; valid: above 0' in output


def test_several_busy_threads_end_cleanly_at_a_signal():
    process = start('-c', RUN_TWO.format(body=BUSY, threads='[[Probe], [Quiet]]'))
    assert process.stdout.readline() == 'ready\n'
    process.terminate()
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, '')


def test_a_process_shows_life_only_while_each_of_its_threads_does(monkeypatch):
    beats = []
    monkeypatch.setattr(heartbeat, 'beat', lambda: beats.append('beat'))
    pulse = Pulse(threads=2)
    for thread in (0, 0, 0):
        pulse.of(thread)()
    assert beats == []
    pulse.of(1)()
    assert beats == ['beat']
    pulse.of(1)()
    assert beats == ['beat']


ARGUMENTS = {
    'pose': ['-p', 'workspace_min:=[0.2, -0.3, 0.0]', '-p', 'workspace_max:=[0.6, 0.3, 0.4]'],
    'sim': ['-p', 'image_width:=64', '-p', 'image_height:=64'],
}


@pytest.mark.parametrize('name', NODE_PARAMS)
def test_every_node_reports_its_health_and_answers_sigterm(name, graph, tmp_path):
    process = start(
        '-m', f'vla_ros.nodes.{name}_node', '--ros-args', *ARGUMENTS.get(name, []),
        XDG_CACHE_HOME=str(tmp_path),
    )  # fmt: skip
    try:
        health = graph.listen(DIAGNOSTICS)
        graph.until(lambda: health or process.poll() is not None, timeout_s=60.0)
        started_s = time.monotonic()
        process.terminate()
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert time.monotonic() - started_s < 2.0
    assert process.returncode == 0, output
    assert 'Traceback' not in output
    assert health[0].status[0].name == f'/{name}'
