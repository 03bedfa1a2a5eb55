"""``vla-ros up sim`` as a process, and what a user sees of it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import math
from pathlib import Path
import signal
import subprocess
import sys
import time

from vla_ros.sim.scene import HELD_OUT_PAIRS

READY_S = 90.0


class Up:
    """``vla-ros up sim`` in the background, its terminal in a file."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.terminal = folder / 'terminal.txt'
        with self.terminal.open('w') as out:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'vla_ros.cli', 'up', 'sim', *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def shown(self) -> str:
        return self.terminal.read_text()

    def children(self) -> dict[str, int]:
        """Return the pid of each node by its name."""
        found = {}
        for folder in Path('/proc').glob('[0-9]*'):
            with suppress(OSError, StopIteration):  # it has ended, or is about to start
                command = (folder / 'cmdline').read_bytes().split(b'\0')
                parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
                if parent == self.process.pid:
                    name = next(c for c in command if c.startswith(b'vla_ros.nodes.'))
                    found[name.decode().rpartition('.')[2].removesuffix('_node')] = int(
                        folder.name
                    )
        return found

    def wait_for(self, text: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.shown():
            assert self.process.poll() is None, self.shown()
            assert time.monotonic() < deadline, f'no {text!r} in:\n{self.shown()}'
            time.sleep(0.1)

    def end(self, number: signal.Signals) -> float:
        """Send a signal and return how many seconds the end took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        return time.monotonic() - begun


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Up]:
    """Bring the graph up for a while."""
    up = Up(folder, *arguments)
    try:
        up.wait_for('ready:', READY_S)
        yield up
    finally:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)


@contextmanager
def user_of(namespace: str = '') -> Iterator:
    """Be a user of a graph that is up, once it would obey."""
    from vla_ros.nodes.client import client

    with client(namespace) as opened:
        opened.wait_ready()
        assert opened.wait(lambda: opened.sim_state is not None, 10.0)
        yield opened


def obeyed(user, text: str, key: str, timeout_s: float = 25.0) -> bool:
    user.publish(text)
    return user.wait(lambda: user.sim_state['success'][key], timeout_s)


def moved_m(user, seconds: float) -> float:
    """Return how far the gripper of the user's graph gets in that time."""
    before = user.sim_state['end_effector'][:3]
    user.wait(lambda: False, seconds)
    return math.dist(before, user.sim_state['end_effector'][:3])


def far_object(user) -> str:
    """Begin a new scene; return the object farthest away, of those that training has shown."""
    truth = user.new_scene()
    gripper, objects = truth['end_effector'][:2], truth['objects']
    return max(
        set(objects) - set(HELD_OUT_PAIRS), key=lambda name: math.dist(gripper, objects[name][:2])
    )


def check_nothing_moves_unasked(user) -> None:
    assert moved_m(user, 1.0) < 0.002
    assert user.status.state == 'idle'


def check_stop_holds(user) -> None:
    user.publish(f'point at the {far_object(user)}')
    assert user.wait(lambda: user.status.state == 'running', 5.0), user.status
    user.publish('stop')
    assert user.wait(lambda: user.status.reason == 'stopped', 1.0)
    user.wait(lambda: False, 0.7)
    assert moved_m(user, 0.7) < 0.002


def check_the_end(up: Up) -> None:
    """End it as Ctrl-C does: in time, with every process, without a traceback."""
    pids = list(up.children().values())
    assert up.end(signal.SIGINT) < 5.0
    assert not [pid for pid in pids if Path(f'/proc/{pid}').exists()]
    assert 'Traceback' not in up.shown()
