"""Promises of the running nodes: real processes, real middleware, judged by the oracle's ears."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, suppress
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from unittest.mock import patch

from faults.bench import Bench, bench, node, Process
from faults.ledger import promise, Tally
from faults.oracle import rest_s
from faults.promises_inputs import hostile_image, hostile_text, mutate
from faults.stage import CHANNELS, ENVELOPE, hostile_rows
import numpy as np
from rclpy._rclpy_pybind11 import RCLError
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, Header, String
from trajectory_msgs.msg import JointTrajectory

from vla_ros.interfaces import ActionChunk
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import chunk_to_message, to_stamp

PERIOD_S = ENVELOPE.period_s
BRAKING_S = ENVELOPE.speed / ENVELOPE.acceleration + 5 * PERIOD_S
#: Defaults of the pose node, and what a hold may take on top.
CAMERA_TIMEOUT_S, ACTION_TIMEOUT_S, MARGIN_S = 0.2, 0.25, 0.1


def hold_after(tally: Tally, bench: Bench, what: str, fault: Callable[[], float]) -> None:
    """Let the robot move, bring a fault about, and time the hold; then the robot has to rest."""
    bench.run()
    time.sleep(float(tally.rng.uniform(0.0, 0.3)))
    since_s = fault()
    deadline = time.monotonic() + 2.0
    held_s = None
    while held_s is None and time.monotonic() < deadline:
        time.sleep(0.01)
        held_s = bench.ears.status_since(since_s, 'holding', 'estopped', 'idle', 'succeeded')
    tally.tried += 1
    if held_s is None:
        tally.violate(f'{what}: no hold within 2 s')
        return
    tally.add(held_s - since_s)
    time.sleep(BRAKING_S + 0.25)
    bench.ears.read()
    rest = rest_s(bench.ears.records, held_s)
    # A node that was killed publishes nothing more, which is rest as well.
    if bench.pose.is_alive and not (rest is not None and rest <= BRAKING_S):
        tally.violate(f'{what}: not at rest {BRAKING_S:.2f} s after the hold ({rest})')


@contextmanager
def burners(count: int):
    """Keep the processors busy."""
    running = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def finish(tally: Tally, bench: Bench, by_stamp: bool = True) -> None:
    """Let the oracle judge all that was published; the pose node must still be there."""
    tally.expect(bench.pose.is_alive, f'the pose node ended: {bench.pose.log.read_text()[-500:]}')
    oracle = bench.ears.judge(by_stamp=by_stamp)
    for text in oracle.violations:
        tally.violate(text)
    tally.notes |= {'poses judged': oracle.count, 'worst of a limit': round(oracle.worst, 4)}


@promise('A1.ros', 'no unusable chunk that arrives as a message moves the robot', 60, 5_000, 'ros')
def unusable_chunks(tally: Tally, size: int) -> None:
    with bench(tally.folder) as b:
        b.run()
        rejected = 0
        for i in range(size):
            if i % 100 == 0 and b.state() != 'running':
                b.run()
            message = _hostile_chunk(tally.rng, b)
            if message is not None:
                b.player.chunks.publish(message)
                rejected += 1
            tally.tried += 1
            time.sleep(0.01)
        tally.notes['sent'] = rejected
        finish(tally, b)
    tally.limit = None


def _hostile_chunk(rng: np.random.Generator, b: Bench) -> object | None:
    """Return a chunk message, or bytes of one, that is unusable in one way or another."""
    good = b.player.chunk()
    rows = hostile_rows(rng, good.values)
    if rng.random() < 0.3:
        return mutate(serialize_message(chunk_to_message(good)), rng)
    if not (isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows)):
        return JointTrajectory(joint_names=list(CHANNELS))
    try:
        chunk = ActionChunk(
            good.stamp_ns, good.command_stamp_ns, 'base_link', CHANNELS, rows.astype(float), 0.1
        )
        return chunk_to_message(chunk)
    except (ValueError, TypeError, AssertionError, OverflowError):
        return None


@promise('B1', 'a camera that stops, freezes or drips leads to a hold', 4, 120, 'ros')
def camera_stops(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = CAMERA_TIMEOUT_S + MARGIN_S, 's to hold'

    def silent(b: Bench) -> float:
        b.player.camera_is_on = b.player.policy_is_on = False
        return time.monotonic()

    def frozen(b: Bench) -> float:  # the same stamp, again and again
        b.player.camera_is_on = False
        return time.monotonic()

    def drip(b: Bench) -> float:
        b.player.camera_is_on = False
        since_s = time.monotonic()
        time.sleep(0.001)
        return since_s

    kinds = (silent, frozen, drip)
    with bench(tally.folder) as b:
        for i in range(size):
            with burners(4 if i % 2 else 0):
                kind = kinds[i % len(kinds)]
                hold_after(tally, b, kind.__name__, lambda kind=kind: kind(b))
            b.player.camera_is_on = b.player.policy_is_on = True
        finish(tally, b)


@promise('B3.ros', 'a ROS clock that stalls or jumps leads to a hold', 2, 40, 'ros')
def ros_clocks(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = ACTION_TIMEOUT_S + MARGIN_S, 's to hold'
    jumps = (0.0, -95.0, 5000.0, -1.0)
    with bench(tally.folder, use_sim_time=True) as b:
        clock = b.player.node.create_publisher(Clock, '/clock', 1)
        state = {'offset_ns': 10**12, 'runs': True}
        b.player.now_ns = lambda: time.monotonic_ns() + state['offset_ns']
        b.player.node.create_timer(
            0.01,
            lambda: (
                clock.publish(Clock(clock=to_stamp(b.player.now_ns()))) if state['runs'] else None
            ),
        )
        for i in range(size):

            def fault(jump_s: float = jumps[i % len(jumps)]) -> float:
                state['offset_ns'] += round(jump_s * 1e9)
                if jump_s == 0.0:
                    state['runs'] = b.player.policy_is_on = False
                elif jump_s:
                    b.player.policy_is_on = False
                return time.monotonic()

            hold_after(tally, b, 'clock', fault)
            state['runs'] = b.player.policy_is_on = True
            time.sleep(0.3)
        finish(tally, b, by_stamp=False)


@promise('B4', 'poses keep their rate while inference is slow, late or hangs', 3, 60, 'ros')
def slow_inference(tally: Tally, size: int) -> None:
    tally.unit = 's between poses, p99'
    delays = {
        'none': lambda: 0.0,
        '5 periods': lambda: 5 * PERIOD_S,
        '50 periods': lambda: 50 * PERIOD_S,
        'pareto': lambda: min(5.0, float(tally.rng.pareto(1.5)) * 0.05),
        'for ever': lambda: 1e9,
    }
    with bench(tally.folder) as b:
        for i in range(size):
            b.player.delay_s = list(delays.values())[i % len(delays)]
            b.player._quiet_until_s = 0.0
            b.player.command()
            time.sleep(1.0)
            tally.tried += 1
        periods = b.ears.periods_s()
        tally.values = [float(p) for p in periods]
        p99 = float(np.percentile(periods, 99))
        tally.worst, tally.limit = p99, 1.5 * PERIOD_S
        if not p99 <= tally.limit:
            tally.violate(f'p99 of the period is {p99:.4f} s')
        finish(tally, b)


@promise('E1', 'a policy that is killed, stopped, hung or crashed leads to a hold', 3, 100, 'ros')
def dead_policies(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = ACTION_TIMEOUT_S + MARGIN_S, 's to hold'
    kinds = (
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGUSR1,
        signal.SIGSEGV,
        signal.SIGUSR2,
    )
    with bench(tally.folder, with_policy=False) as b:
        for i in range(size):
            policy = Process(tally.folder, 'policy', '-m', 'faults.stub_policy')
            b.others = [policy]
            kind = kinds[i % len(kinds)]
            with burners(2 if i % 2 else 0):
                if kind == signal.SIGUSR2:
                    # How long it eats before it ends is its own affair: it does not spin then.
                    hold_after(tally, b, 'out of memory', lambda p=policy: p.send(signal.SIGUSR2))
                else:
                    hold_after(tally, b, kind.name, lambda p=policy, k=kind: p.send(k))
            if policy.is_alive:
                policy.send(signal.SIGKILL)
            policy.end()
            _until_gone(b, wiring.ACTION_CHUNK)
        finish(tally, b)


def _until_gone(b: Bench, topic: wiring.Topic) -> None:
    """Wait until the middleware has noticed a death, so that the next is no second publisher."""
    deadline = time.monotonic() + 25.0
    while b.player.node.count_publishers(topic.name) and time.monotonic() < deadline:
        time.sleep(0.05)


@promise('E3', 'a killed pose node falls silent, and holds when it is started again', 1, 20, 'ros')
def dead_gates(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = 0.15, 's to silence'
    for _ in range(size):
        with bench(tally.folder) as b:
            b.run()
            since_s = b.pose.send(signal.SIGKILL)
            time.sleep(0.5)
            b.ears.read()
            last_s = max(record.t_s for record in b.ears.records)
            tally.add(max(0.0, last_s - since_s))
            again = node(tally.folder, 'pose', _workspace())
            b.others.append(again)
            b.wait(lambda s=since_s, b=b: b.ears.status_since(s + 0.5, 'idle'), 30.0, 'restart')
            count = len(b.ears.records)
            time.sleep(1.0)
            b.ears.read()
            after = {record.position for record in b.ears.records[count:]}
            tally.expect(len(after) <= 1, f'it moved after a restart: {len(after)} places')


def _workspace() -> dict[str, object]:
    return {'workspace_min': list(ENVELOPE.low), 'workspace_max': list(ENVELOPE.high)}


@promise('F5.ros', 'a stopped and continued pose node makes up for nothing', 1, 20, 'ros')
def stopped_gates(tally: Tally, size: int) -> None:
    with bench(tally.folder) as b:
        for _ in range(size):
            b.run()
            b.pose.send(signal.SIGSTOP)
            time.sleep(float(tally.rng.uniform(0.1, 2.0)))
            b.pose.send(signal.SIGCONT)
            time.sleep(0.5)
            tally.tried += 1
        finish(tally, b)


@promise('G1', 'the e-stop holds at once, and only a reset releases it', 4, 100, 'ros')
def presses(tally: Tally, size: int) -> None:
    tally.unit = 's to e-stop, p99'
    with bench(tally.folder) as b:
        for _ in range(size):
            pressed: list[float] = []

            def press(pressed: list[float] = pressed) -> float:
                pressed.append(b.player.call('estop')[0])
                return pressed[0]

            hold_after(tally, b, 'e-stop', press)
            b.player.command()
            time.sleep(0.1)
            tally.expect(b.state() == 'estopped', 'a command released the e-stop')
            _, answer = b.player.call('reset')
            tally.expect(answer is not None and answer.success, 'the reset was refused')
        p99 = float(np.percentile(tally.values, 99))
        tally.worst, tally.limit = p99, 0.05
        if not p99 <= tally.limit:
            tally.violate(f'p99 of the e-stop is {p99:.4f} s')
        finish(tally, b)


@promise('F3', 'a second publisher is noticed and held on', 1, 20, 'ros')
def strangers(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = 1.0, 's to hold'
    program = (
        'import rclpy, sys, time; from rclpy.node import Node; from vla_ros.nodes import wiring\n'
        'rclpy.init(args=[]); n = Node("stranger"); wiring.ACTION_CHUNK.publisher(n)\n'
        'print("ready", flush=True); time.sleep(60)'
    )
    with bench(tally.folder) as b:
        for _ in range(size):
            strangers: list[Process] = []

            def join(strangers: list[Process] = strangers) -> float:
                strangers.append(Process(tally.folder, 'stranger', '-c', program))
                b.others = strangers
                name = wiring.ACTION_CHUNK.name
                b.wait(lambda: b.player.node.count_publishers(name) > 1, 30.0, 'stranger')
                return time.monotonic() - 0.01

            hold_after(tally, b, 'second publisher', join)
            strangers[0].end()
            deadline = time.monotonic() + 25.0
            while b.player.node.count_publishers(wiring.ACTION_CHUNK.name) > 1:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            time.sleep(0.7)
        finish(tally, b)


#: The nodes that garbage is thrown at, and what they need to start.
TARGETS: dict[str, dict[str, object]] = {
    'pose': {},
    'camera': {},
    'marker': {},
    'command': {},
    'inference': {},
}


def listeners() -> list[tuple[str, wiring.Topic]]:
    """Return every topic that one of the targets subscribes to, with that node."""
    pairs = []
    for topic in wiring.TOPICS:
        names = {name.strip() for name in topic.subscribers.split(',')}
        # A camera node takes raw or compressed images; these are tried without ROS.
        if topic is not wiring.IMAGE_COMPRESSED:
            pairs += [(name, topic) for name in TARGETS if name in names]
    return pairs


def _sample(topic: wiring.Topic) -> object:
    """Return a valid message of a topic, with something in it."""
    stamp = Header(stamp=to_stamp(time.time_ns()), frame_id='base_link')
    if topic.type is Image:
        data = bytes(48)
        return Image(header=stamp, height=4, width=4, encoding='rgb8', step=12, data=data)
    message = topic.type()
    if hasattr(message, 'header'):
        message.header = stamp
    if topic.type is String:
        message.data = 'pick up the red block'
    if topic.type is Float32:
        message.data = 0.5
    return message


def _is_honest(topic: wiring.Topic, payload: bytes) -> bool:
    """Whether damaged bytes are by chance a pose or a button that looks like a real one."""
    if topic.type is Bool:
        return True
    if topic is not wiring.ROBOT_POSE:
        return False
    try:
        message = deserialize_message(payload, topic.type)
    except Exception:
        return False
    q = message.pose.orientation
    return 0.9 <= np.linalg.norm([q.x, q.y, q.z, q.w]) <= 1.1


@promise('C4', 'raw rubbish on any topic moves nothing and ends no node', 200, 5_000, 'ros')
def rubbish(tally: Tally, size: int) -> None:
    """``size`` payloads a topic."""
    with bench(tally.folder) as b:
        nodes = {'pose': b.pose}
        for name, parameters in TARGETS.items():
            if name != 'pose':
                nodes[name] = node(tally.folder, name, parameters)
        b.others = [p for name, p in nodes.items() if name != 'pose']
        time.sleep(1.0)
        start = b.player.robot.position.copy()
        for topic in {topic.name: topic for _, topic in listeners()}.values():
            publisher = topic.publisher(b.player.node)
            deadline = time.monotonic() + 40.0
            while not publisher.get_subscription_count() and time.monotonic() < deadline:
                time.sleep(0.05)
            valid = serialize_message(_sample(topic))
            heard = publisher.get_subscription_count() > 0
            tally.expect(heard, f'nobody listens on {topic.name}')
            for i in range(size):
                payload = mutate(valid, tally.rng)
                if tally.rng.random() < 0.3:
                    payload = valid[:4] + tally.rng.bytes(int(tally.rng.integers(0, 400)))
                if _is_honest(topic, payload):
                    continue
                with suppress(RCLError):  # longer than a type of fixed size can be
                    publisher.publish(payload)
                    tally.tried += 1
                if i % 20 == 19:
                    time.sleep(0.01)
            b.player.node.destroy_publisher(publisher)
            dead = [name for name, process in nodes.items() if not process.is_alive]
            tally.expect(not dead, f'{topic.name} ended {", ".join(dead)}')
            if dead:
                break
        b.ears.read()
        moved = max(
            (float(np.linalg.norm(np.subtract(r.position, start))) for r in b.ears.records),
            default=0.0,
        )
        tally.worst, tally.unit = moved, 'm moved'
        tally.expect(moved < 1e-6, f'it moved by {moved:.3g} m')
        finish(tally, b)


@promise('C1.ros', 'the camera node passes good frames and outlives all others', 100, 2_000, 'ros')
def camera_frames(tally: Tally, size: int) -> None:
    from rclpy.qos import QoSProfile

    with bench(tally.folder) as b:
        camera = node(tally.folder, 'camera', {'max_image_bytes': 1_000_000})
        b.others = [camera]
        sizes: list[tuple[int, int]] = []
        b.player.node.create_subscription(
            Image,
            wiring.IMAGE.name,
            lambda m: sizes.append((m.width, m.height)),
            QoSProfile(depth=9),
        )
        publisher = wiring.IMAGE_RAW.publisher(b.player.node)
        b.wait(publisher.get_subscription_count, 30.0, 'camera node')
        before_mb = 0.0
        for i in range(size):
            raw = hostile_image(tally.rng)
            message = Image(
                height=raw.height,
                width=raw.width,
                encoding=raw.encoding.replace('\0', ''),
                step=raw.step,
                is_bigendian=int(raw.is_bigendian),
                data=bytes(raw.data),
            )
            publisher.publish(message)
            tally.tried += 1
            time.sleep(0.004)
            before_mb = camera.rss_mb() if i == min(50, size // 2) else before_mb
            tally.expect(camera.is_alive, 'the camera node ended')
            if not camera.is_alive:
                break
        tally.notes['passed'] = len(sizes)
        tally.expect(set(sizes) == {(96, 96)}, f'sizes {set(sizes)}')
        tally.worst, tally.limit, tally.unit = camera.rss_mb() - before_mb, 20.0, 'MB'
        tally.expect(tally.worst <= tally.limit, f'grew by {tally.worst:.1f} MB')


@promise('C2.ros', 'the command node passes clean lines and outlives all else', 50, 2_000, 'ros')
def command_texts(tally: Tally, size: int) -> None:
    with bench(tally.folder) as b:
        command = node(tally.folder, 'command')
        b.others = [command]
        texts: list[str] = []
        # The player's own embeddings would be a second publisher.
        b.player.node.destroy_publisher(b.player._embedding)
        wiring.COMMAND_EMBEDDING.subscription(
            b.player.node, lambda m: texts.append(m.header.frame_id)
        )
        publisher = wiring.COMMAND.publisher(b.player.node)
        b.wait(lambda: publisher.get_subscription_count() > 1, 60.0, 'command node')
        empty = serialize_message(String())[:4]
        for _ in range(size):
            text = hostile_text(tally.rng).encode('utf-8', 'surrogatepass')
            publisher.publish(empty + (len(text) + 1).to_bytes(4, 'little') + text + b'\0')
            tally.tried += 1
            time.sleep(0.02)
        time.sleep(0.5)
        tally.expect(command.is_alive, 'the command node ended')
        tally.notes |= {'answers': len(texts), 'passed': sum(map(bool, texts))}
        tally.expect(any(texts) and not all(texts), 'vacuous')
        for text in texts:
            line, *tokens = text.split('\n')
            if not (len(line.encode()) <= 512 and all(map(str.isprintable, [line, *tokens]))):
                tally.violate(f'{text!r} got through')
        written = command.end()
        raw = {c for c in written if not c.isprintable()} - {'\n'}
        tally.expect(not raw, f'control characters in the log: {raw}')


@promise('F2', 'floods of images, words and poses leave memory and rate as they are', 3, 60, 'ros')
def floods(tally: Tally, size: int) -> None:
    """``size`` seconds each."""
    tally.limit, tally.unit = 100.0, 'MB grown'
    flood = (
        'import rclpy, sys, time; from rclpy.node import Node; from vla_ros.nodes import wiring\n'
        'from sensor_msgs.msg import Image; from std_msgs.msg import String\n'
        'from geometry_msgs.msg import PoseStamped\n'
        'import array\n'
        'rclpy.init(args=[]); n = Node("flood" + sys.argv[2])\n'
        'what = {"image": (wiring.IMAGE_RAW, Image(height=480, width=640, encoding="rgb8",'
        ' step=1920, data=array.array("B", bytes(921600)))),\n'
        ' "words": (wiring.COMMAND, String(data="x" * 1000000)),\n'
        ' "poses": (wiring.ROBOT_POSE, PoseStamped())}\n'
        'topic, message = what[sys.argv[1]]; p = topic.publisher(n)\n'
        'while True: p.publish(message)'
    )
    for kind in ('image', 'words', 'poses'):
        with bench(tally.folder) as b:
            camera = node(tally.folder, 'camera')
            b.others = [camera]
            b.run()
            time.sleep(2.0)
            watched = (b.pose, camera)
            before = [process.rss_mb() for process in watched]
            b.ears.read()
            count = len(b.ears.records)
            b.others += [
                Process(tally.folder, f'flood{i}', '-c', flood, kind, str(i)) for i in range(4)
            ]
            time.sleep(size)
            tally.tried += 1
            for process, mb in zip(watched, before, strict=True):
                tally.expect(process.is_alive, f'the flood of {kind} ended {process.name}')
                tally.add(process.rss_mb() - mb)
            b.ears.read()
            periods = np.diff([record.t_s for record in b.ears.records[count:]])
            p99 = float(np.percentile(periods, 99)) if len(periods) else float('inf')
            tally.notes[f'p99 period in the flood of {kind}, s'] = round(p99, 4)
            # Beside a stranger that says where the robot is, the robot may not be known at all.
            if kind != 'poses' and not p99 <= 2 * PERIOD_S:
                tally.violate(f'{kind}: p99 of the period is {p99:.4f} s')
            finish(tally, b)


@promise('F1', 'memory and descriptors stay as they are for minutes', 5, 300, 'ros')
def soak(tally: Tally, size: int) -> None:
    """``size`` seconds."""
    tally.unit, tally.limit = 'MB grown', 2.0
    with bench(tally.folder) as b:
        b.run()
        time.sleep(min(60.0, size / 2))
        before_mb, before = b.pose.rss_mb(), b.pose.descriptors()
        until_s = time.monotonic() + size
        while time.monotonic() < until_s:
            if b.state() != 'running':
                b.run()
            time.sleep(1.0)
        tally.tried += size
        tally.add(max(0.0, b.pose.rss_mb() - before_mb))
        tally.expect(b.pose.descriptors() <= before, f'{b.pose.descriptors()} descriptors')
        finish(tally, b)


@promise('E5', 'killed nodes come back, and leave nothing behind', 1, 50, 'ros')
def restarts(tally: Tally, size: int) -> None:
    """Kill one node after the other of a supervised sim graph."""
    from vla_ros import supervisor as supervising
    from vla_ros.bringup import Options

    names = ('camera', 'marker', 'sim', 'command', 'inference', 'pose')
    shared = Path('/dev/shm')
    files = len(list(shared.iterdir())) if shared.is_dir() else 0
    usual = {k: v for k, v in os.environ.items() if not k.startswith(('FASTDDS', 'FASTRTPS'))}
    with (
        patch.dict(os.environ, usual, clear=True),
        supervising.running('sim', Options()) as supervisor,
    ):
        _until_up(supervisor)
        descriptors = len(os.listdir('/proc/self/fd'))
        for i in range(size):
            child = supervisor._children[
                [c.spec.name for c in supervisor._children].index(names[i % len(names)])
            ]
            child.exits.clear()  # more than three a minute is what is tried here
            pid = child.process.pid
            os.kill(pid, signal.SIGKILL)
            since_s = time.monotonic()
            while child.process is None or child.process.pid == pid:
                supervisor.poll()
                time.sleep(0.02)
                if time.monotonic() - since_s > 10.0:
                    tally.violate(f'{child.spec.name} did not come back')
                    break
            tally.add(time.monotonic() - since_s)
            tally.tried += 1
            until_s = time.monotonic() + 1.0
            while time.monotonic() < until_s:
                supervisor.poll()
                time.sleep(0.05)
        _until_up(supervisor)
        now = len(os.listdir('/proc/self/fd'))
        tally.expect(now <= descriptors, f'{now - descriptors} descriptors more')
        pids = [c.process.pid for c in supervisor._children if c.process is not None]
    left = [pid for pid in pids if Path(f'/proc/{pid}').exists()]
    tally.expect(not left, f'processes {left} outlived the graph')
    after = len(list(shared.iterdir())) if shared.is_dir() else 0
    tally.expect(after <= files, f'{after - files} files more in shared memory')
    tally.unit = 's to a new process'


def _until_up(supervisor) -> None:
    until_s = time.monotonic() + 5.0
    while supervisor.down or time.monotonic() < until_s:
        supervisor.poll()
        time.sleep(0.05)


@promise('D4', 'any order of transitions and failures ends in a named state', 10, 500, 'ros')
def transitions(tally: Tally, size: int) -> None:
    """``size`` walks of 20 transitions."""
    import rclpy
    from rclpy.context import Context

    from vla_ros.errors import ConfigurationError
    from vla_ros.nodes.lifecycle import ManagedNode

    context = Context()
    rclpy.init(args=[], context=context)
    rclpy.logging.set_logger_level('walker', rclpy.logging.LoggingSeverity.FATAL)
    triggers = ('configure', 'activate', 'deactivate', 'cleanup')
    held: list[str] = []
    raises: dict[str, Exception] = {}

    class Walker(ManagedNode):
        def _hook(self, name: str) -> None:
            if name in raises:
                raise raises[name]

        def configure(self) -> None:
            self._hook('configure')
            held.append('model')

        def activate(self) -> None:
            self._hook('activate')
            held.append('worker')

        def deactivate(self) -> None:
            self._hook('deactivate')
            held[:] = [what for what in held if what != 'worker']

        def cleanup(self) -> None:
            self._hook('cleanup')
            held.clear()

    states = set()
    for _ in range(size):
        walker = Walker('walker', context=context, enable_rosout=False)
        for _ in range(20):
            raises.clear()
            if tally.rng.random() < 0.3:
                fault = ConfigurationError('no') if tally.rng.random() < 0.5 else KeyError('bug')
                raises[str(tally.rng.choice(triggers))] = fault
            getattr(walker, f'trigger_{tally.rng.choice(triggers)}')()
            state = walker._state_machine.current_state[1]
            states.add(state)
            named = state in ('unconfigured', 'inactive', 'active', 'finalized')
            tally.expect(named, f'state {state}')
        raises.clear()
        walker.destroy_node()
        tally.expect(not held, f'{held} is left')
        held.clear()
    tally.notes['states'] = sorted(states)
    context.try_shutdown()
