"""The supervisor, with small programs in place of nodes."""

from contextlib import contextmanager
import io
import os
from pathlib import Path
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from vla_ros.bringup import NodeSpec
from vla_ros.errors import ConfigurationError
from vla_ros.heartbeat import HANG_S
from vla_ros.supervisor import Log, Supervisor

POLITE = 'import time\nprint("started", flush=True)\ntime.sleep(60)'
STUBBORN = 'import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n' + POLITE


class Program(NodeSpec):
    """A spec that runs a test's own module."""

    @property
    def module(self) -> str:
        return self.executable


class Clock:
    """The supervisor's time, moved by the test."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Stage:
    """A supervisor on programs in a folder, with its output in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = io.StringIO()
        self.clock = Clock()

    @contextmanager
    def run(self, **programs: str):
        for name, program in programs.items():
            (self.folder / f'stage_{name}.py').write_text(textwrap.dedent(program))
        specs = [Program(name, f'stage_{name}') for name in programs]
        supervisor = Supervisor(
            specs, {'PYTHONPATH': str(self.folder)}, Log(list(programs), self.out), self.clock
        )
        with supervisor:
            yield supervisor

    def wait_for(self, text: str, supervisor: Supervisor | None = None) -> None:
        self.wait(lambda: text in self.out.getvalue(), supervisor)

    def wait(self, condition, supervisor: Supervisor | None = None) -> None:
        deadline = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < deadline, self.out.getvalue()
            if supervisor is not None:
                supervisor.poll()
            time.sleep(0.01)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def is_alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_lines_carry_the_name_of_their_node(stage: Stage):
    with stage.run(cam=POLITE, inference=POLITE):
        stage.wait_for('cam       | started')
        stage.wait_for('inference | started')


def test_severities_other_than_info_are_named(stage: Stage):
    with stage.run(a='print("INFO fine"); print("WARN careful", flush=True)\n' + POLITE):
        stage.wait_for('started')
    assert 'a | fine\n' in stage.out.getvalue()
    assert 'a | WARN: careful\n' in stage.out.getvalue()


def test_no_colour_where_there_is_no_terminal(stage: Stage):
    with stage.run(a='print("ERROR bad", flush=True)\n' + POLITE):
        stage.wait_for('bad')
    assert '\x1b' not in stage.out.getvalue()


def test_a_terminal_gets_colours_unless_it_refuses_them(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def written() -> str:
        out = Terminal()
        Log(['a'], out).write('a', 'bad', 'ERROR')
        return out.getvalue()

    monkeypatch.delenv('NO_COLOR', raising=False)
    assert '\x1b[31mERROR: bad' in written()
    monkeypatch.setenv('NO_COLOR', '1')
    assert '\x1b' not in written()


def test_leaving_ends_every_process(stage: Stage):
    with stage.run(a='import os\nprint("pid", os.getpid(), flush=True)\n' + POLITE):
        stage.wait_for('started')
    pid = int(stage.out.getvalue().split('pid ')[1].split()[0])
    assert not is_alive(pid)


def test_leaving_kills_what_does_not_end_within_five_seconds(stage: Stage):
    with stage.run(a=STUBBORN, b=STUBBORN):
        stage.wait(lambda: stage.out.getvalue().count('started') == 2)
        leaving_s = time.monotonic()
    assert time.monotonic() - leaving_s < 5.0
    assert 'a | WARN: killed: it did not end by itself' in stage.out.getvalue()


def test_leaving_ends_what_a_node_has_started(stage: Stage):
    program = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
        print('child', child.pid, flush=True)
        time.sleep(60)
    """
    with stage.run(a=program):
        stage.wait_for('child ')
        stage.wait(lambda: stage.out.getvalue().endswith('\n'))
        pid = int(stage.out.getvalue().split('child ')[1].split()[0])
    assert not is_alive(pid)


def test_a_node_that_died_is_started_again_after_a_pause(stage: Stage):
    with stage.run(a='print("started", flush=True)\nraise SystemExit(3)') as supervisor:
        stage.wait_for('a | WARN: ended (exit code 3); restarting it in 0.5 s', supervisor)
        supervisor.poll()
        assert supervisor.down == ['a']
        stage.clock.now_s += 0.5
        supervisor.poll()
        stage.wait(lambda: stage.out.getvalue().count('started') == 2)


def test_a_node_that_was_killed_is_said_to_be(stage: Stage):
    with stage.run(a='import os, signal\nos.kill(os.getpid(), signal.SIGKILL)') as supervisor:
        stage.wait_for('ended (SIGKILL); restarting', supervisor)


def test_a_node_that_dies_three_times_in_a_minute_stays_down(stage: Stage):
    with stage.run(a='raise SystemExit(1)') as supervisor:
        for _ in range(3):
            stage.wait(lambda: supervisor.down, supervisor)
            supervisor.poll()
            stage.clock.now_s += 5.0
            supervisor.poll()
        stage.wait_for('3 times in 60 s: it stays down')
        supervisor.run()  # returns, for nothing is left to run


def test_a_node_that_dies_now_and_then_is_always_started_again(stage: Stage):
    with stage.run(a='raise SystemExit(1)') as supervisor:
        for n in range(1, 6):
            stage.wait(lambda n=n: stage.out.getvalue().count('ended') == n, supervisor)
            stage.clock.now_s += 40.0
            supervisor.poll()
    assert 'stays down' not in stage.out.getvalue()


def test_a_node_that_refuses_its_configuration_ends_all_with_its_own_words(stage: Stage):
    program = 'import sys\nprint("FATAL rate_hz is 0", flush=True)\nsys.exit(2)'
    with (
        pytest.raises(ConfigurationError, match='^rate_hz is 0$'),
        stage.run(a=program, b=POLITE) as supervisor,
    ):
        stage.wait(lambda: False, supervisor)
    assert 'restarting' not in stage.out.getvalue()


PARENT = """
import sys, time
from vla_ros.bringup import NodeSpec
from vla_ros.supervisor import Supervisor

class Program(NodeSpec):
    module = 'stage_a'

with Supervisor([Program('a', 'a')]) as supervisor:
    supervisor.run()
"""


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_supervisor_however_it_ends(tmp_path: Path, number: int):
    (tmp_path / 'stage_a.py').write_text(
        'import os\nprint("pid", os.getpid(), flush=True)\n' + STUBBORN
    )
    (tmp_path / 'parent.py').write_text(PARENT)
    root = Path(__file__).resolve().parent.parent
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / 'parent.py')],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{root}'},
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split('pid')[1])
        assert 'started' in parent.stdout.readline()
        parent.send_signal(number)
        parent.wait(timeout=5.0)
    deadline = time.monotonic() + 2.0
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)


HANGING = """
    import os, signal, time
    from vla_ros import heartbeat
    print('started', flush=True)
    heartbeat.beat()
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_node_that_was_stopped_is_killed_and_started_again(stage: Stage):
    with stage.run(a=HANGING) as supervisor:
        stage.wait_for('started')
        stage.wait(lambda: heard(supervisor), supervisor)
        stage.clock.now_s += HANG_S + 1.0
        stage.wait_for('a | ERROR: hangs: no sign of life for 15 s', supervisor)
        stage.wait_for('ended (SIGKILL); restarting', supervisor)


@pytest.mark.parametrize('signs', ['', 'heartbeat.beat(); heartbeat.pause()'])
def test_a_node_that_loads_for_long_is_left_alone(stage: Stage, signs: str):
    program = f'from vla_ros import heartbeat\n{signs}\n{POLITE}'
    with stage.run(a=program) as supervisor:
        stage.wait_for('started')
        for _ in range(3):
            stage.clock.now_s += HANG_S + 1.0
            supervisor.poll()
        assert supervisor.down == []
    assert 'hangs' not in stage.out.getvalue()


def heard(supervisor: Supervisor) -> bool:
    return any(c.heart is not None and c.heart._last_s is not None for c in supervisor._children)


def test_no_descriptor_is_left_after_many_restarts(stage: Stage):
    before = len(os.listdir('/proc/self/fd'))
    with stage.run(a='raise SystemExit(1)') as supervisor:
        for n in range(1, 6):
            stage.wait(lambda n=n: stage.out.getvalue().count('ended') == n, supervisor)
            stage.clock.now_s += 40.0
            supervisor.poll()
    assert len(os.listdir('/proc/self/fd')) == before


IMPATIENT = """
import os, signal, threading, time
from vla_ros.bringup import NodeSpec
from vla_ros.supervisor import Supervisor

class Program(NodeSpec):
    module = 'stage_a'

def press():
    for _ in range(200):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.002)

with Supervisor([Program(name, name) for name in 'abcd']) as supervisor:
    time.sleep(1.0)
    threading.Thread(target=press, daemon=True).start()
    supervisor.run()
"""


def test_many_ctrl_cs_do_not_cut_the_cleaning_up(tmp_path: Path):
    (tmp_path / 'stage_a.py').write_text(STUBBORN)
    (tmp_path / 'parent.py').write_text(IMPATIENT)
    root = Path(__file__).resolve().parent.parent
    ended = subprocess.run(
        [sys.executable, str(tmp_path / 'parent.py')],
        capture_output=True,
        text=True,
        timeout=20.0,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{root}'},
    )
    assert ended.stdout.count('killed: it did not end by itself') == 4, ended.stderr
