"""Promises of the running nodes: real processes, real middleware, judged by the oracle's ears."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
import signal
import subprocess
import sys
import time

from faults.bench import Bench, bench, node, Process
from faults.hostile import mutate
from faults.ledger import promise, Tally
from faults.oracle import Oracle, rest_s, SILENCE_S
from faults.stage import CHANNELS, ENVELOPE, hostile_rows
import numpy as np
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from trajectory_msgs.msg import JointTrajectory

from vla_ros.interfaces import ActionChunk
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import chunk_to_message, to_stamp

PERIOD_S = ENVELOPE.period_s
BRAKING_S = ENVELOPE.speed / ENVELOPE.acceleration + 5 * PERIOD_S
#: Defaults of the pose node, and what a hold may take on top.
CAMERA_TIMEOUT_S, ACTION_TIMEOUT_S, MARGIN_S = 0.2, 0.25, 0.1
#: From a stranger's first message, or the robot's last, to the hold.
HOLD_S = 0.35


def hold_after(
    tally: Tally, bench: Bench, what: str, fault: Callable[[], float], or_silence: bool = False
) -> None:
    """Let the robot move, and then as ``time_hold``."""
    bench.run()
    time.sleep(float(tally.rng.uniform(0.0, 0.3)))
    time_hold(tally, bench, what, fault, or_silence)


def time_hold(
    tally: Tally, bench: Bench, what: str, fault: Callable[[], float], or_silence: bool = False
) -> None:
    """
    Bring a fault about, and time the hold; then the robot has to rest.

    With ``or_silence`` it may also hear nothing more: nobody knows where it is.
    """
    began_s = time.monotonic()
    since_s = fault()
    deadline = time.monotonic() + 2.0
    held_s = None
    while held_s is None and time.monotonic() < deadline:
        time.sleep(0.01)
        held_s = bench.ears.held_since(began_s)
        silent_s = bench.ears.records[-1].t_s + SILENCE_S
        if or_silence and held_s is None and time.monotonic() > silent_s:
            held_s = silent_s
    tally.tried += 1
    if held_s is None:
        tally.violate(f'{what}: no hold within 2 s')
        return
    tally.add(max(0.0, held_s - since_s))
    time.sleep(BRAKING_S + 0.25)
    bench.ears.read()
    rest = rest_s(bench.ears.records, held_s)
    is_silent = bench.ears.records[-1].t_s <= held_s + BRAKING_S
    if not (or_silence and is_silent or rest is not None and rest <= BRAKING_S):
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


def finish(tally: Tally, bench: Bench, by_stamp: bool = True) -> Oracle:
    """Let the oracle judge all that was published; the pose node must still be there."""
    tally.expect(bench.pose.is_alive, f'the pose node ended: {bench.pose.log.read_text()[-500:]}')
    oracle = bench.ears.judge(by_stamp=by_stamp)
    for text in oracle.violations:
        tally.violate(text)
    tally.notes |= {'poses judged': oracle.count, 'worst of a limit': round(oracle.worst, 4)}
    return oracle


@promise(
    'A1.ros', 'no unusable chunk that arrives as a message moves the robot', 60, 5_000,
    'ros untimed',
)  # fmt: skip
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


@promise('E1', 'a policy that is killed, stopped, hung or crashed leads to a hold', 3, 60, 'ros')
def dead_policies(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = ACTION_TIMEOUT_S + MARGIN_S, 's to hold'
    kinds = (
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGUSR1,  # hangs
        signal.SIGSEGV,
        signal.SIGUSR2,  # eats memory until it ends
    )
    with bench(tally.folder, with_policy=False) as b:
        for i in range(size):
            if not (b.others and b.others[0].is_alive):
                b.others = [Process(tally.folder, 'policy', '-m', 'faults.stub_policy')]
            policy, kind = b.others[0], kinds[i % len(kinds)]
            with burners(2 if i % 2 else 0):
                hold_after(tally, b, kind.name, lambda p=policy, k=kind: p.send(k))
            if kind == signal.SIGSTOP:
                policy.send(signal.SIGCONT)
                continue
            if policy.is_alive:
                policy.send(signal.SIGKILL)
            policy.end()
        finish(tally, b)


@promise('E2', 'a camera node that is killed or stopped leads to a hold', 4, 100, 'ros')
def dead_cameras(tally: Tally, size: int) -> None:
    """The marker node's death, at the end, may change nothing."""
    tally.limit, tally.unit = CAMERA_TIMEOUT_S + MARGIN_S, 's to hold'
    with bench(tally.folder) as b:
        b.player.see_through_camera_node()
        for i in range(size):
            if not (b.others and b.others[0].is_alive):
                b.others = [node(tally.folder, 'camera')]
            camera, kind = b.others[0], (signal.SIGSTOP, signal.SIGKILL)[i % 2]
            with burners(2 if i % 4 > 1 else 0):
                hold_after(tally, b, kind.name, lambda c=camera, k=kind: c.send(k))
            if kind == signal.SIGSTOP:
                camera.send(signal.SIGCONT)
                continue
            camera.end()
        camera, marker = node(tally.folder, 'camera'), node(tally.folder, 'marker')
        b.others = [camera, marker]
        b.wait(lambda: b.player.node.count_publishers(wiring.MARKERS.name), 60.0, 'marker node')
        b.run()
        marker.send(signal.SIGKILL)
        time.sleep(1.0)
        tally.expect(b.state() == 'running', f'{b.state()} after the marker node died')
        finish(tally, b)


@promise(
    'E3', 'a killed pose node falls silent, also started again until a new command', 1, 90,
    'ros untimed',
)  # fmt: skip
def dead_gates(tally: Tally, size: int) -> None:
    tally.limit, tally.unit = 0.15, 's to silence'
    with bench(tally.folder) as b:
        for _ in range(size):
            b.run()
            since_s = b.pose.send(signal.SIGKILL)
            time.sleep(0.5)
            b.ears.read()
            last_s = max(record.t_s for record in b.ears.records)
            tally.add(max(0.0, last_s - since_s))
            b.pose.end()
            b.pose = node(tally.folder, 'pose', _workspace())
            b.wait(lambda s=since_s: b.ears.status_since(s + 0.5, 'idle'), 30.0, 'restart')
            count = len(b.ears.records)
            time.sleep(0.5)
            b.ears.read()
            told = len(b.ears.records) - count
            tally.expect(not told, f'{told} messages to the robot after a restart')


def _workspace() -> dict[str, object]:
    return {'workspace_min': list(ENVELOPE.low), 'workspace_max': list(ENVELOPE.high)}


@promise('F5.ros', 'a stopped and continued pose node makes up for nothing', 1, 20, 'ros untimed')
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


#: What moves the robot, and where the oracle can tell a stranger from the node that should speak.
CONTESTED = (
    wiring.ACTION_CHUNK,
    wiring.ROBOT_POSE,
    wiring.COMMAND_EMBEDDING,
    wiring.GRIPPER_ACTION,
)


@promise('F3', 'a second publisher is held on, and nobody obeys it', 4, 24, 'ros')
def strangers(tally: Tally, size: int) -> None:
    """The hold is timed from the stranger's first message that anybody could have heard."""
    tally.limit, tally.unit = HOLD_S, 's to hold'
    with bench(tally.folder) as b:
        for i in range(size):
            topic = CONTESTED[i % len(CONTESTED)]

            def join(topic: wiring.Topic = topic) -> float:
                b.others = [Process(tally.folder, 'stranger', '-m', 'faults.stranger', topic.name)]
                log = b.others[0].log
                b.wait(lambda: 'heard' in log.read_text(), 30.0, f'stranger on {topic.name}')
                return float(log.read_text().split()[1])

            with burners(2 if i // len(CONTESTED) % 2 else 0):
                what = f'second publisher on {topic.name}'
                hold_after(tally, b, what, join, or_silence=topic is wiring.ROBOT_POSE)
            b.others.pop().end()
        finish(tally, b)
