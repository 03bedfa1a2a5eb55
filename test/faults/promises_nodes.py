"""Promises of whole nodes: rubbish, floods, minutes of work, restarts and transitions."""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path
import signal
import time
from unittest.mock import patch

from faults.bench import Bench, bench, node, Process
from faults.hostile import hostile_image, hostile_text, mutate
from faults.ledger import promise, Tally
from faults.promises_graph import finish
from faults.stage import ENVELOPE
import numpy as np
from rclpy._rclpy_pybind11 import RCLError
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, Header, String

from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import to_stamp

PERIOD_S = ENVELOPE.period_s


#: The nodes that rubbish is thrown at.
TARGETS = ('pose', 'camera', 'marker', 'command', 'inference')
SAID_BY_POSE = (wiring.ROBOT_ACTION, wiring.GRIPPER_ACTION, wiring.STATUS)


def listened() -> list[wiring.Topic]:
    """Return every topic that one of the targets subscribes to."""
    return [
        topic
        for topic in wiring.TOPICS
        if {name.strip() for name in topic.subscribers.split(',')} & {*TARGETS}
        # A camera node takes raw or compressed images; files are tried without ROS.
        and topic is not wiring.IMAGE_COMPRESSED
    ]


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


@promise(
    'C4', 'raw rubbish on any topic moves nothing and ends no node', 200, 5_000, 'ros untimed'
)
def rubbish(tally: Tally, size: int) -> None:
    """``size`` payloads a topic."""
    with bench(tally.folder) as b:
        nodes = {'pose': b.pose}
        for name in TARGETS[1:]:
            nodes[name] = node(tally.folder, name)
        # A marker node draws either attention or saliency.
        nodes['second marker'] = node(tally.folder, 'marker', {'source': 'saliency'})
        b.others = [p for name, p in nodes.items() if name != 'pose']
        start = b.player.robot.position.copy()
        topics = {topic.name: topic for topic in listened()}
        # What the pose node says itself comes last: the oracle cannot tell who said it.
        own = [topics.pop(t.name) for t in SAID_BY_POSE if t.name in topics]
        for topic in topics.values():
            _throw(tally, b, topic, size)
            _expect_alive(tally, topic, nodes)
        b.ears.read()
        moved = max(
            (float(np.linalg.norm(np.subtract(r.position, start))) for r in b.ears.records),
            default=0.0,
        )
        tally.worst, tally.unit = moved, 'm moved'
        tally.expect(moved < 1e-6, f'it moved by {moved:.3g} m')
        finish(tally, b)
        for topic in own:
            _throw(tally, b, topic, size)
            _expect_alive(tally, topic, nodes)


def _throw(tally: Tally, b: Bench, topic: wiring.Topic, size: int) -> None:
    publisher = topic.publisher(b.player.node)
    deadline = time.monotonic() + 60.0  # a node may still be loading
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.05)
    tally.expect(publisher.get_subscription_count() > 0, f'nobody listens on {topic.name}')
    valid = serialize_message(_sample(topic))
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


def _expect_alive(tally: Tally, topic: wiring.Topic, nodes: dict[str, Process]) -> None:
    for name, process in nodes.items():
        last = process.log.read_text(errors='replace')[-300:]
        tally.expect(process.is_alive, f'{topic.name} ended {name}: {last}')


@promise(
    'C1.ros',
    'the camera node passes good frames and outlives all others',
    100,
    2_000,
    'ros untimed',
)
def camera_frames(tally: Tally, size: int) -> None:
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
        good = Image(height=9, width=9, encoding='mono8', step=9, data=bytes(81))
        deadline_s = time.monotonic() + 30.0
        while not sizes and time.monotonic() < deadline_s:
            publisher.publish(good)
            time.sleep(0.05)
        tally.notes['passed'] = len(sizes)
        tally.expect(set(sizes) == {(96, 96)}, f'sizes {set(sizes)}')
        tally.worst, tally.limit, tally.unit = camera.rss_mb() - before_mb, 20.0, 'MB'
        tally.expect(tally.worst <= tally.limit, f'grew by {tally.worst:.1f} MB')


@promise(
    'C2.ros', 'the command node passes clean lines and outlives all else', 50, 2_000, 'ros untimed'
)
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
        'from rclpy.signals import SignalHandlerOptions\n'
        # It ends at once when told, for it is always within a call.
        'rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)\n'
        'n = Node("flood" + sys.argv[2])\n'
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


@promise('F1', 'memory and descriptors stay as they are for minutes', 5, 300, 'ros untimed')
def soak(tally: Tally, size: int) -> None:
    """``size`` seconds."""
    tally.unit, tally.limit = 'MB grown', 2.0
    with bench(tally.folder) as b:
        b.run()
        until_s = time.monotonic() + size
        time.sleep(min(60.0, size / 2))
        before_mb, before = b.pose.rss_mb(), b.pose.descriptors()
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
    ours = ('FASTDDS', 'FASTRTPS', 'ROS_AUTOMATIC')
    usual = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
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
            until_s = time.monotonic() + 0.3
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


@promise(
    'D4', 'any order of transitions and failures ends in a named state', 10, 500, 'ros untimed'
)
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
