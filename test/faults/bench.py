"""Real nodes as processes, a robot and a policy to play with them, and the oracle beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
import itertools
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from faults.oracle import Envelope, judge_records, Oracle, Record
from faults.stage import CHANNELS, DOWN, ENVELOPE, REST
from geometry_msgs.msg import PoseStamped
import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    chunk_to_message,
    command_to_message,
    pose_from_message,
    pose_to_message,
    to_ns,
    to_stamp,
)
from vla_ros.supervisor import _die_with

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = {'workspace_min': list(ENVELOPE.low), 'workspace_max': list(ENVELOPE.high)}
_RUN = itertools.count()
TEXTS = itertools.cycle(('pick up the red block', 'point at the blue ball'))


class Process:
    """One process with its output in a file."""

    def __init__(self, folder: Path, name: str, *command: str) -> None:
        self.name = name
        self.log = folder / f'{name}_{next(_RUN)}.log'
        parent = os.getpid()
        path = f'{ROOT}:{ROOT / "test"}:{os.environ.get("PYTHONPATH", "")}'
        with self.log.open('w') as out:
            self._popen = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'PYTHONPATH': path},
                preexec_fn=lambda: _die_with(parent),  # nothing outlives a campaign
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def send(self, number: int) -> float:
        """Send a signal; return when, on the steady clock."""
        os.kill(self.pid, number)
        return time.monotonic()

    def rss_mb(self) -> float:
        """Return the anonymous memory of the process."""
        text = Path(f'/proc/{self.pid}/status').read_text()
        return int(text.partition('RssAnon:')[2].split()[0]) / 1024.0

    def descriptors(self) -> int:
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def end(self) -> str:
        """End it; return what it wrote."""
        if self.is_alive:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self._popen.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self._popen.wait()
        return self.log.read_text(errors='replace')


def node(
    folder: Path, name: str, parameters: Mapping[str, object] | None = None, defect: str = ''
) -> Process:
    """Start one of the package's nodes."""
    flags = [('-p', f'{k}:={json.dumps(v)}') for k, v in (parameters or {}).items()]
    module = f'vla_ros.nodes.{name}_node'
    program = ['-m', module]
    if defect:
        code = (
            f'from faults.defects import seeded\nfrom {module} import main\n'
            f'with seeded({defect!r}): main()'
        )
        program = ['-c', code]
    return Process(folder, name, *program, '--ros-args', *(part for f in flags for part in f))


class Ears:
    """The oracle's process and what it has heard; ``options`` are the process's."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = folder / f'heard_{next(_RUN)}.jsonl'
        program = ('-m', 'faults.oracle_process', str(self.path), *options)
        self.process = Process(folder, 'oracle', *program)
        self.records: list[Record] = []
        self.measured: list[Record] = []
        self.statuses: list[tuple[float, str, str, str]] = []
        self.grippers: list[float] = []
        self._offset = 0

    def read(self) -> None:
        """Take in what was heard since."""
        if not self.path.exists():
            return
        with self.path.open('rb') as file:
            file.seek(self._offset)
            data = file.read()
        data = data[: data.rfind(b'\n') + 1]
        self._offset += len(data)
        for line in data.splitlines():
            kind, t_s, *rest = json.loads(line)
            if kind in ('pose', 'robot'):
                stamp_ns, frame_id, position, quaternion = rest
                (self.records if kind == 'pose' else self.measured).append(
                    Record(t_s, stamp_ns, frame_id, tuple(position), tuple(quaternion))
                )
            elif kind == 'status':
                self.statuses.append((t_s, *rest))
            else:
                self.grippers.append(rest[0])

    def status_since(self, since_s: float, *states: str) -> float | None:
        """Return when a status with one of these states was first heard after ``since_s``."""
        self.read()
        return next((s[0] for s in self.statuses if s[0] >= since_s and s[1] in states), None)

    def held_since(self, since_s: float) -> float | None:
        """Return when the hold began that lasts now, if it was heard after ``since_s``."""
        self.read()
        ran_s = max((s[0] for s in self.statuses if s[1] == 'running'), default=0.0)
        return next((s[0] for s in self.statuses if s[0] > ran_s and s[0] >= since_s), None)

    def judge(self, envelope: Envelope = ENVELOPE, by_stamp: bool = True) -> Oracle:
        self.read()
        oracle = judge_records(self.records, envelope, by_stamp=by_stamp, measured=self.measured)
        for value in self.grippers:
            if not 0.0 <= value <= 1.0:
                oracle.violations.append(f'gripper was told {value}')
        return oracle

    def periods_s(self) -> np.ndarray:
        self.read()
        return np.diff([record.t_s for record in self.records])


class Player:
    """
    The robot, the camera's clock and the policy, in a thread of this process.

    The robot is where it was last sent, or ``with_robot`` False it is another process. The camera
    is a clock alone, unless ``see_through_camera_node`` is called, and commands are embeddings,
    unless ``use_words`` is. The policy asks for the far end of a line in turn, in chunks that
    carry the stamp of the last frame.
    """

    def __init__(self, with_policy: bool = True, with_robot: bool = True) -> None:
        self.context = Context()
        rclpy.init(args=[], context=self.context)
        self.node = Node('player', context=self.context, enable_rosout=False)
        self.robot = Pose.of((0.4, 0.0, 0.2), DOWN)
        self.command_ns = 0
        self.text, self.markers = '', 0
        self.policy_is_on, self.camera_is_on, self.robot_is_on = True, True, True
        self.frame_ns = 0
        self.delay_s: Callable[[], float] = lambda: 0.0
        self._side = 1.0
        self._quiet_until_s = 0.0
        self._clients: dict[str, Client] = {}
        self._raw: Publisher | None = None
        if with_robot:
            self._pose = wiring.ROBOT_POSE.publisher(self.node)
        else:
            wiring.ROBOT_POSE.subscription(self.node, self._on_action)
        self._words: Publisher | None = None
        self._embedding = wiring.COMMAND_EMBEDDING.publisher(self.node)
        self.chunks = wiring.ACTION_CHUNK.publisher(self.node) if with_policy else None
        if with_robot:
            wiring.ROBOT_ACTION.subscription(self.node, self._on_action)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if with_robot:
            self.node.create_timer(0.02, self._feed_back, clock=steady)
        self.node.create_timer(0.033, self._shoot, clock=steady)
        self.node.create_timer(0.05, self._infer, clock=steady)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    def _on_action(self, message: PoseStamped) -> None:
        self.robot = pose_from_message(message)

    def _feed_back(self) -> None:
        if self.robot_is_on:
            self._pose.publish(pose_to_message(self.robot, self.now_ns(), 'base_link'))

    def see_through_camera_node(self) -> None:
        """From now on frames are messages, and count when a camera node has passed them on."""
        wiring.IMAGE.subscription(self.node, self._on_image)
        self._raw = wiring.IMAGE_RAW.publisher(self.node)

    def use_words(self) -> None:
        """From now on commands are words, a policy hears of a gripper, and markers are counted."""
        self.node.destroy_publisher(self._embedding)
        self._words = wiring.COMMAND.publisher(self.node)
        self._gripper = wiring.GRIPPER_STATE.publisher(self.node)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.node.create_timer(0.02, lambda: self._gripper.publish(Float32()), clock=steady)
        wiring.MARKERS.subscription(self.node, self._on_markers, raw=True)

    def _on_markers(self, _: bytes) -> None:
        self.markers += 1

    def _on_image(self, message: Image) -> None:
        self.frame_ns = to_ns(message.header.stamp)

    def _shoot(self) -> None:
        if not self.camera_is_on:
            return
        if self._raw is None:
            self.frame_ns = self.now_ns()
            return
        message = Image(height=9, width=9, encoding='mono8', step=9, data=bytes(81))
        message.header.stamp = to_stamp(self.now_ns())
        self._raw.publish(message)

    def _infer(self) -> None:
        now_s = time.monotonic()
        if self.chunks is None or not (self.policy_is_on and self.command_ns):
            return
        if now_s < self._quiet_until_s:
            return
        self._quiet_until_s = now_s + self.delay_s()
        self.chunks.publish(chunk_to_message(self.chunk()))

    def chunk(self) -> ActionChunk:
        if self._side * self.robot.position[1] > 0.08:
            self._side = -self._side
        x, y, z = self.robot.position
        y = min(max(0.1 * self._side, y - 0.2), y + 0.2)  # it may start far away
        row = [x, y, z, *DOWN, *REST]
        return ActionChunk(
            self.frame_ns, self.command_ns, 'base_link', CHANNELS, np.tile(row, (10, 1)), 0.1
        )

    def command(self, text: str = 'pick up the red block') -> None:
        self.text, self.command_ns = text, self.now_ns()
        if self._words is not None:
            self._words.publish(String(data=text))
            return
        tokens = np.ones((3, 5), dtype=np.float32)
        message = command_to_message(EncodedCommand(text, self.command_ns, tokens))
        self._embedding.publish(message)

    def call(self, name: str, timeout_s: float = 5.0) -> tuple[float, Trigger.Response | None]:
        """Call a service of the pose node; return when it was sent, and the answer."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(Trigger, f'pose/{name}')
            self._clients[name].wait_for_service(timeout_s)
            time.sleep(0.2)  # the service has to find the client, too
        sent_s = time.monotonic()
        future = self._clients[name].call_async(Trigger.Request())
        while not future.done() and time.monotonic() < sent_s + timeout_s:
            time.sleep(0.002)
        return sent_s, future.result() if future.done() else None

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(timeout=2.0)
        self.node.destroy_node()
        self.context.try_shutdown()


class Bench:
    """The pose node with its player and the oracle; ``defect`` is seeded into the node."""

    def __init__(
        self,
        folder: Path,
        with_policy: bool = True,
        with_robot: bool = True,
        defect: str = '',
        **parameters: object,
    ) -> None:
        self.folder = folder
        self.ears = Ears(folder, *([] if with_robot else ['robot']))
        self.pose = node(folder, 'pose', {**WORKSPACE, **parameters}, defect)
        self.player = Player(with_policy, with_robot)
        self.others: list[Process] = []
        try:
            self.wait(lambda: self.ears.statuses, 60.0, 'the pose node')
        except TimeoutError:
            self.close()
            raise

    def wait(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f'no {what} within {timeout_s} s: {self.ears.statuses[-3:]}')
            time.sleep(0.01)
            self.ears.read()

    def state(self) -> str:
        self.ears.read()
        return self.ears.statuses[-1][1] if self.ears.statuses else ''

    def run(self, timeout_s: float = 60.0) -> None:
        """Give commands until the robot moves."""
        deadline = time.monotonic() + timeout_s
        text = next(TEXTS)
        while time.monotonic() < deadline:
            self.player.command(text)
            since_s = time.monotonic()
            while time.monotonic() < since_s + 1.0:
                if self.state() == 'running' and self.ears.statuses[-1][3] == text:
                    time.sleep(0.2)
                    return
                time.sleep(0.01)
        others = [(p.name, p.is_alive, p.log.read_text()[-200:]) for p in self.others]
        raise TimeoutError(f'it does not run: {self.ears.statuses[-3:]}, beside it {others}')

    def close(self) -> str:
        """End everything; return what the pose node wrote."""
        for process in self.others:
            process.end()
        self.player.close()
        text = self.pose.end()
        self.ears.process.end()
        return text


@contextmanager
def bench(folder: Path, **options: object) -> Iterator[Bench]:
    """Open a Bench for a while."""
    opened = Bench(folder, **options)
    try:
        yield opened
    finally:
        opened.close()
