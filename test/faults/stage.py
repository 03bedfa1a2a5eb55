"""A controller with a robot and a policy in simulated time, watched by the oracle."""

from __future__ import annotations

import struct

from faults.oracle import Envelope, Oracle
import numpy as np

from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    ActionChunk,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.pipeline.chunk import BLEND_MODES, INTERPOLATIONS, Playback
from vla_ros.pipeline.controller import Controller
from vla_ros.pipeline.gate import Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.session import Rules

ENVELOPE = Envelope()
LIMITS = Limits(workspace_min=ENVELOPE.low, workspace_max=ENVELOPE.high)
DOWN = (1.0, 0.0, 0.0, 0.0)
START = Pose.of((0.4, 0.0, 0.2), DOWN)
CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL, TERMINATION_CHANNEL, *REFUSAL_CHANNELS)
#: Of a row: the pose, and the rest.
REST = (0.5, 0.0, 0.0, 0.0, 0.0)
TICK_S = 0.02
ROWS = 10

#: What breaks code that did not think of it.
SPECIALS = (
    *(float('nan'), -float('nan'), float('inf'), -float('inf')),
    *(0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-300),
    *(1e308, -1e308, 1.7976931348623157e308, 1e154, 1e100, -1e100),
    *(1e30, 1e19, 2.0**63, -(2.0**63), 2.0**31, 2.0**32, 1e9, -1e9),
    *(1000.0, -1000.0, 100.0, 10.0, -10.0, 2.0, -2.0, 1.5, 1.1000001),
    *(0.8999999, 1.0 + 1e-15, -1.0, 0.6050001, 0.1949999, 0.4050001, -0.3050001, 3.14159),
)  # fmt: skip


class Stage:
    """One simulated run; ``rng`` chooses the way chunks are played and everything else."""

    def __init__(self, rng: np.random.Generator, limits: Limits = LIMITS, **rules) -> None:
        self.rng = rng
        playback = Playback(
            blend_mode=str(rng.choice(BLEND_MODES)), interpolation=str(rng.choice(INTERPOLATIONS))
        )
        self.controller = Controller(limits, Rules(**rules), playback)
        self.oracle = Oracle(ENVELOPE)
        self.steady_s, self.stamp_ns = 100.0, 1_700_000_000_000_000_000
        self.robot = START
        self.frame_id = 'base_link'
        self.feedback = True
        self.passed = self.refused = 0

    @property
    def now(self) -> Instant:
        return Instant(self.steady_s, self.stamp_ns)

    def command(self, text: str = 'pick up the red block') -> None:
        self.stamp_ns += 1
        self.controller.start(text, self.stamp_ns, self.stamp_ns)

    def chunk(self, rows, **changes) -> ActionChunk:
        fields = {
            'stamp_ns': self.stamp_ns,
            'command_stamp_ns': self.controller.command_stamp_ns,
            'frame_id': 'base_link',
            'channels': CHANNELS,
            'values': rows,
            'dt_s': 0.1,
        }
        return ActionChunk(**{**fields, **changes})

    def goal(self, position, quaternion=DOWN) -> np.ndarray:
        """Return rows (k, a) that ask for one pose."""
        return np.tile([*position, *quaternion, *REST], (ROWS, 1))

    def near(self, reach_m: float = 0.2) -> np.ndarray:
        """Return a place in the workspace that the gate would take."""
        place = self.robot.position + self.rng.uniform(-1.0, 1.0, 3) * reach_m / 1.8
        return np.clip(place, ENVELOPE.low, ENVELOPE.high)

    def offer(self, rows, **changes) -> bool:
        """Offer a chunk; return whether it was taken to be played."""
        try:
            taken = self.controller.accept(self.chunk(rows, **changes), self.now) == ''
        except ValueError:
            taken = False
        return taken

    def tick(self, dt_s: float = TICK_S, ros_dt_s: float | None = None):
        """Pass time, and let the oracle see what was published; the robot is there at once."""
        self.steady_s += dt_s
        self.stamp_ns += round((dt_s if ros_dt_s is None else ros_dt_s) * 1e9)
        if self.feedback:
            self.controller.measured = Measured(self.robot, self.frame_id, self.steady_s)
            self.oracle.measure(self.robot.position, self.robot.quaternion)
        output = self.controller.tick(self.now)
        self.passed += not output.held
        self.refused += output.held
        if output.pose is None:
            self.oracle.silence()
        else:
            pose = output.pose
            self.oracle.see(self.steady_s, pose.position, pose.quaternion, output.gripper)
            self.robot = pose if np.isfinite(pose.vector()).all() else self.robot
        return output

    def run(self, ticks: int, dt_s: float = TICK_S) -> None:
        for _ in range(ticks):
            self.tick(dt_s)

    def drive(self, ticks: int, target: np.ndarray | None = None) -> None:
        """Follow a good policy for a while, so that there is motion to go wrong."""
        self.command()
        target = self.near() if target is None else target
        for i in range(ticks):
            if i % 5 == 0:
                self.offer(self.goal(target))
            self.tick()

    def uneven_s(self) -> float:
        """Return a tick of a busy machine: late, early, at once, or after a pause."""
        kind = self.rng.random()
        if kind < 0.8:
            return TICK_S
        if kind < 0.98:
            return float(self.rng.uniform(0.0, 3.0 * TICK_S))
        return float(self.rng.uniform(0.1, 2.0))


def hostile_rows(rng: np.random.Generator, good: np.ndarray) -> object:
    """Return ``good`` rows made unusable, in one of a dozen ways."""
    rows = good.copy()
    kind = int(rng.integers(12))
    if kind == 0:  # any 64 bits
        bits = rng.bytes(8 * rows.size)
        return np.array(struct.unpack(f'{rows.size}d', bits)).reshape(rows.shape)
    if kind == 1:  # one special value somewhere
        rows[rng.integers(len(rows)), rng.integers(8)] = rng.choice(SPECIALS)
    elif kind == 2:  # one special value in every row
        rows[:, rng.integers(8)] = rng.choice(SPECIALS)
    elif kind == 3:  # no number in one place of many
        rows[rng.integers(len(rows)), rng.integers(rows.shape[1])] = np.nan
    elif kind == 4:
        rows[:, :3] += rng.normal(size=3) * 10.0 ** rng.integers(-1, 12)
    elif kind == 5:
        rows[:, 3:7] = rng.normal(size=4) * 10.0 ** rng.integers(-12, 12)
    elif kind == 6:
        rows[:, 3:7] = 0.0
    elif kind == 7:  # far away and back, row by row
        rows[::2, :3] = -rows[::2, :3]
    elif kind == 8:
        rows[:, 7] = rng.normal() * 10.0 ** rng.integers(0, 9)
    elif kind == 9:
        return rows[:, : rng.integers(rows.shape[1])]
    elif kind == 10:
        return [rows.astype(complex), rows.astype(str), rows[0], rows[:0], None, 'x'][
            rng.integers(6)
        ]
    else:
        rows[:, :3] = rng.choice(SPECIALS, size=3)
    return rows
