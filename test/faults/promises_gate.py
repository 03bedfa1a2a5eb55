"""Promises of the gate and all that stands before it, in simulated time and without ROS."""

from __future__ import annotations

from dataclasses import replace

from faults.ledger import promise, Tally
from faults.stage import DOWN, ENVELOPE, hostile_rows, LIMITS, ROWS, Stage, START, TICK_S
import numpy as np

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.nodes.estop_latch import EstopLatch
from vla_ros.pipeline.gate import Candidate, Gate, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.session import State

#: Of one simulated run, before a new one with other ways of playing chunks.
RUN_TICKS = 500
BRAKING_S = ENVELOPE.speed / ENVELOPE.acceleration + 2 * TICK_S


@promise('A1', 'no unusable action vector reaches the robot', 20_000, 1_000_000)
def unusable_vectors(tally: Tally, size: int) -> None:
    passed = refused = 0
    while tally.tried < size:
        stage = Stage(tally.rng)
        stage.command()
        target = stage.near()
        for i in range(RUN_TICKS):
            if i % 40 == 0:
                stage.command()
                target = stage.near()
            good = stage.goal(target)
            is_bad = tally.rng.random() < 0.7
            rows = hostile_rows(tally.rng, good) if is_bad else good
            taken = stage.offer(rows)
            passed, refused = passed + taken, refused + (not taken)
            tally.tried += ROWS * is_bad
            stage.tick(stage.uneven_s())
        tally.take(stage.oracle)
    tally.limit = 1.0
    tally.need_both(passed, refused)


@promise('A1.gate', 'the same, handed to the gate past every check before it', 2_000, 100_000)
def unusable_candidates(tally: Tally, size: int) -> None:
    passed = refused = 0
    while tally.tried < size:
        stage, gate = Stage(tally.rng), Gate(LIMITS)
        good = stage.goal(stage.near())
        for _ in range(RUN_TICKS):
            is_bad = tally.rng.random() < 0.6
            rows = hostile_rows(tally.rng, good) if is_bad else good
            row = rows[0] if isinstance(rows, np.ndarray) and rows.size else rows
            pose = START
            if isinstance(row, np.ndarray) and row.ndim:
                pose = Pose(row[:3], row[3:7])
            gripper = row[7] if isinstance(row, np.ndarray) and row.shape[:1] > (7,) else 0.5
            stage.steady_s += TICK_S
            stage.stamp_ns += round(TICK_S * 1e9)
            wish = Candidate(pose, gripper, 'base_link', stage.stamp_ns, stage.steady_s)
            measured = Measured(stage.robot, 'base_link', stage.steady_s)
            stage.oracle.measure(stage.robot.position, stage.robot.quaternion)
            output = gate.tick(stage.now, wish, measured)
            if output.pose is not None:
                stage.oracle.see(
                    stage.steady_s, output.pose.position, output.pose.quaternion, output.gripper
                )
                stage.robot = output.pose
            tally.tried += is_bad
            passed, refused = passed + (not output.held), refused + output.held
        tally.take(stage.oracle)
    tally.limit = 1.0
    tally.need_both(passed, refused)


def _bang_bang(stage: Stage, i: int) -> np.ndarray:
    place = stage.robot.position + (0.14 if (i // 60) % 2 else -0.14)
    return np.clip(place, ENVELOPE.low, ENVELOPE.high)


def _sawtooth(stage: Stage, i: int) -> np.ndarray:
    return stage.robot.position + np.array([0.2, -0.2, 0.1]) * (1 if i % 2 else -1)


def _drift(stage: Stage, i: int) -> np.ndarray:
    return stage.robot.position + np.array([0.05, 0.05, -0.05])


def _teleport(stage: Stage, i: int) -> np.ndarray:
    return stage.rng.uniform(ENVELOPE.low, ENVELOPE.high)


def _creep(stage: Stage, i: int) -> np.ndarray:
    return stage.robot.position + np.array([0.001, 0.0, -0.002])


@promise('A2', 'every step keeps to speed, acceleration and workspace', 5_000, 200_000)
def limits(tally: Tally, size: int) -> None:
    tally.limit = 1.0
    adversaries = (_bang_bang, _sawtooth, _drift, _teleport, _creep)
    while tally.tried < size:
        stage = Stage(tally.rng)
        adversary = adversaries[(tally.tried // RUN_TICKS) % len(adversaries)]
        wild = tally.rng.normal(size=4)
        for i in range(RUN_TICKS):
            if i % 100 == 0:
                stage.command()
            if i % 170 == 160:  # holds and resumes
                stage.controller.stop(stage.stamp_ns)
            if i % 3 == 0:
                wild = tally.rng.normal(size=4) if i % 30 == 0 else wild
                quaternion = wild / np.linalg.norm(wild)
                stage.offer(stage.goal(adversary(stage, i), quaternion))
            stage.tick(stage.uneven_s())
            tally.tried += 1
        tally.take(stage.oracle)


@promise('A4', 'both signs of a quaternion mean one rotation, on its shortest arc', 300, 20_000)
def double_cover(tally: Tally, size: int) -> None:
    for _ in range(size):
        q = tally.rng.normal(size=4)
        q /= np.linalg.norm(q)
        turned = []
        for sign in (1.0, -1.0):
            gate = Gate(LIMITS)
            now = Instant(1.0, 10**18)
            for tick in range(3):
                now = Instant(1.0 + tick * TICK_S, 10**18)
                measured = Measured(START, 'base_link', now.steady_s)
                wish = Candidate(Pose(START.position, sign * q), 0.5, 'base_link', 10**18, 1.0)
                output = gate.tick(now, wish, measured)
            turned.append(output.pose.quaternion)
        nearer = abs(float(turned[0] @ q)) >= abs(float(np.array(DOWN) @ q)) - 1e-12
        same = np.abs(turned[0] - turned[1]).max() <= 1e-9
        tally.expect(bool(same and nearer), f'{q} and its negative turn {turned}')


@promise('A5', 'motion starts at rest where the robot is, or not at all', 100, 5_000)
def starts(tally: Tally, size: int) -> None:
    silent = begun = 0
    for _ in range(size):
        stage = Stage(tally.rng)
        kind = int(tally.rng.integers(6))
        stage.robot = Pose(tally.rng.uniform(ENVELOPE.low, ENVELOPE.high), START.quaternion)
        if kind == 1:
            stage.feedback = False
        elif kind == 2:
            stage.frame_id = str(tally.rng.choice(['', 'camera', 'BASE_LINK', 'x' * 10_000]))
        elif kind == 3:
            stage.robot = Pose(stage.robot.position + 5.0, DOWN)
        elif kind == 4:
            stage.robot = Pose.of((np.nan, 0.0, 0.2), DOWN)
        stage.command()
        goal = stage.goal((0.5, 0.1, 0.2))
        for i in range(30):
            if i % 5 == 0:
                stage.offer(goal)
            stage.tick()
        if kind in (1, 2, 3, 4):
            tally.expect(stage.oracle.count == 0, f'it moved without a usable pose (kind {kind})')
            silent += 1
        else:
            tally.expect(not stage.oracle.violations, str(stage.oracle.violations[:1]))
            begun += 1
    tally.need_both(begun, silent)


#: Another name for each way that a thing out of order differs, and what it does to a chunk.
FRAMES = ['', ' ', 'map', 'odom', 'world', 'camera_optical_frame', 'BASE_LINK', 'base_link ']
FRAMES += [' base_link', '/base_link', 'base_link/', 'base_link\0', 'base_link2', 'base', '..']
FRAMES += ['base\nlink', 'ｂase_link', 'x' * 1_000_000, "base_link'; --", 'None']


def _nothing_moves(tally: Tally, stage: Stage, what: str, ticks: int = 40, **tick) -> None:
    """Expect the robot to come to rest within the braking time, and stay."""
    stage.oracle.allow_motion()
    stage.oracle.forbid_motion(stage.steady_s + BRAKING_S)
    before = len(stage.oracle.violations)
    for _ in range(ticks):
        stage.tick(**tick)
    stage.oracle.allow_motion()
    found = stage.oracle.violations[before:]
    tally.expect(not found, f'{what}: {found[:1]}')


@promise('A6', 'an action in another frame is refused, never transformed', 20, 200)
def frames(tally: Tally, size: int) -> None:
    for i in range(size):
        stage = Stage(tally.rng)
        stage.drive(20)
        rows, frame_id = stage.goal(stage.near()), FRAMES[i % len(FRAMES)]
        for _ in range(5):
            stage.tick()
            stage.offer(rows, frame_id=frame_id)
        stage.oracle.forbid_motion(stage.steady_s + BRAKING_S)
        for _ in range(40):
            stage.offer(rows, frame_id=frame_id)
            stage.tick()
        tally.expect(not stage.oracle.violations, f'{frame_id[:30]!r} was followed')


@promise('A7', 'a task that creeps is stopped at its budget', 2, 50)
def budgets(tally: Tally, size: int) -> None:
    tally.unit = 'of the budget'
    tally.limit = 1.05
    for _ in range(size):
        limits = replace(LIMITS, max_path_m=0.1, max_task_s=2.0)
        stage = Stage(tally.rng, limits)
        stage.run(2)
        stage.command()
        path, last, moving_s = 0.0, stage.robot.position, 0.0
        for i in range(300):
            place = stage.robot.position + np.array([0.03 if (i // 100) % 2 else -0.03, 0, 0])
            stage.offer(stage.goal(place))
            stage.tick()
            path += float(np.linalg.norm(stage.robot.position - last))
            moving_s += TICK_S * bool((stage.robot.position != last).any())
            last = stage.robot.position
        tally.tried += 1
        # What it takes to brake comes on top.
        tally.add((path - ENVELOPE.speed**2 / 2) / limits.max_path_m)
        tally.add((moving_s - BRAKING_S) / limits.max_task_s)


#: Seconds by which a stamp is wrong, from what is just too much on.
#: Judged one tick after the chunk came.
WRONG_STAMPS_S = (-0.2, -0.3, -1.0, -3600.0, -1e9, 0.0701, 0.1, 1.0, 3600.0, 1e6, 1e9)


@promise('B2', 'an image too old or from the future moves nothing', 22, 2_000)
def stamps(tally: Tally, size: int) -> None:
    for i in range(size):
        stage = Stage(tally.rng)
        stage.drive(20)
        wrong_s = WRONG_STAMPS_S[i % len(WRONG_STAMPS_S)] * tally.rng.uniform(1.0, 1.01)
        stage.command()
        target = stage.near()
        stage.oracle.forbid_motion(stage.steady_s + BRAKING_S)
        for _ in range(50):
            stamp_ns = stage.stamp_ns + round(wrong_s * 1e9)
            # Rows so long that the chunk would still play now.
            stage.offer(
                stage.goal(target), stamp_ns=stamp_ns, dt_s=max(0.1, -wrong_s / (ROWS - 2))
            )
            stage.tick()
        tally.expect(not stage.oracle.violations, f'an image {wrong_s:.3g} s away was followed')


@promise('B3', 'a stalled or jumping ROS clock leads to a hold', 20, 1_000)
def clocks(tally: Tally, size: int) -> None:
    jumps = (0.0, -1.0, -95.0, 5000.0, -1e9, 1e6)
    for i in range(size):
        stage = Stage(tally.rng)
        stage.drive(20, START.position + np.array([0.0, 0.24, 0.0]))
        jump_s = jumps[i % len(jumps)]
        stage.stamp_ns += round(jump_s * 1e9)
        # The clock stands from here on; what was fresh may be played for the action timeout.
        stage.oracle.forbid_motion(stage.steady_s + LIMITS.action_timeout_s + BRAKING_S)
        for _ in range(60):
            stage.tick(ros_dt_s=0.0)
        tally.expect(not stage.oracle.violations, f'moved on after a jump of {jump_s:g} s')


@promise('B5', 'an action for another command, or an older one, moves nothing', 20, 1_000)
def commands(tally: Tally, size: int) -> None:
    for _ in range(size):
        stage = Stage(tally.rng)
        stage.drive(20)
        old_ns = stage.controller.command_stamp_ns
        wrong = int(tally.rng.choice([old_ns, 0, -1, old_ns + 10**9, 2**62]))
        stage.command('push the ball')
        target = stage.near()
        stage.oracle.forbid_motion(stage.steady_s + BRAKING_S)
        for _ in range(40):
            stage.offer(stage.goal(target), command_stamp_ns=wrong)
            stage.tick()
        tally.expect(not stage.oracle.violations, 'the action of another command was followed')


@promise('F5', 'after a pause of the process nothing is made up by a leap', 20, 500)
def pauses(tally: Tally, size: int) -> None:
    tally.limit = 1.0
    for _ in range(size):
        stage = Stage(tally.rng)
        stage.drive(30)
        for _ in range(3):
            stage.offer(stage.goal(stage.near()))
            stage.tick(float(tally.rng.uniform(0.05, 5.0)))
            stage.offer(stage.goal(stage.near()))
            stage.run(5)
        tally.expect(not stage.oracle.violations, str(stage.oracle.violations[:1]))
        tally.worst = max(tally.worst, stage.oracle.worst)


@promise('G1.latch', 'the e-stop holds, and stays latched over restarts', 20, 2_000)
def latch(tally: Tally, size: int) -> None:
    for i in range(size):
        stage = Stage(tally.rng)
        path = tally.folder / f'latch{i % 50}'
        stage.drive(20)
        stage.controller.estop(stage.stamp_ns)
        EstopLatch(path).set(True)
        _nothing_moves(tally, stage, 'e-stop')
        stage.drive(40)  # commands and actions go on
        held = stage.controller.state is State.ESTOPPED
        tally.expect(held, 'a command released the e-stop')
        tally.expect(EstopLatch(path).is_set, 'a restart released the e-stop')
        tally.expect(stage.controller.reset(stage.now) == '', 'the reset was refused')
        EstopLatch(path).set(False)
        tally.expect(not EstopLatch(path).is_set, 'the latch stayed after the reset')
        path.unlink(missing_ok=True)


@promise('G2.lower', 'a safety limit may fall while the node runs, never rise', 200, 5_000)
def lowering(tally: Tally, size: int) -> None:
    names = ('max_speed_m_s', 'max_angular_speed_rad_s', 'action_timeout_s', 'max_jump_m')
    bad = (np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300)
    lowered = refused = 0
    for _ in range(size):
        gate, name = Gate(LIMITS), str(tally.rng.choice(names))
        now = getattr(LIMITS, name)
        is_bad = tally.rng.random() < 0.7
        value = float(tally.rng.choice([*bad, now * 1.0001])) if is_bad else 0.5 * now
        try:
            gate.lower(**{name: value})
            lowered += 1
            kept = getattr(gate.limits, name) == value and not is_bad
        except ConfigurationError:
            refused += 1
            kept = getattr(gate.limits, name) == now and is_bad
        tally.expect(kept, f'{name} became {getattr(gate.limits, name)} for {value}')
    tally.need_both(lowered, refused)


@promise('A0', 'without a workspace there is no gate', 6, 6)
def no_workspace(tally: Tally, size: int) -> None:
    nothing = ((), (np.nan,), (0.0, 0.0, 0.0), (1.0, 1.0, np.inf), (0.2, 0.3), (9.0, 9.0, 9.0))
    for low in nothing:
        try:
            Limits(workspace_min=low, workspace_max=(0.0, 0.0, 0.0))
            tally.expect(False, f'{low} was taken')
        except ConfigurationError as error:
            tally.expect('There is no default' in str(error), str(error))
