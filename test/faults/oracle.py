"""
What the robot is told, judged from the published poses alone.

Shares no code with the package: it derives speed, acceleration, bounds, norm and order anew, from
positions, quaternions (x, y, z, w) and times. Nothing here may import vla_ros; a test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math

import numpy as np

#: Rounding of float64 over two divisions by a tick.
EXACT = 1e-6
#: Of positions of a metre and of unit quaternions, after a few sums.
ROUNDING = 1e-15
#: Poses that are missing for so long have been stopped, not lost.
SILENCE_S = 0.2
START_WITHIN_M, START_WITHIN_RAD = 0.005, math.radians(1.0)


@dataclass(frozen=True)
class Envelope:
    """The limits promised, in metres, seconds and radians."""

    low: tuple[float, ...] = (0.2, -0.3, 0.0)
    high: tuple[float, ...] = (0.6, 0.3, 0.4)
    speed: float = 0.25
    angular_speed: float = 0.5
    acceleration: float = 1.0
    angular_acceleration: float = 2.0
    period_s: float = 0.02
    frame_id: str = 'base_link'


@dataclass
class _Last:
    t_s: float
    position: np.ndarray
    quaternion: np.ndarray
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    spin: np.ndarray = field(default_factory=lambda: np.zeros(3))


class Oracle:
    """
    Watches one stream of poses; ``ratios`` are the worst values over their limits.

    ``slack`` is how far beyond 1 a ratio may be before it is a violation.
    """

    def __init__(self, envelope: Envelope | None = None, slack: float = EXACT) -> None:
        self.envelope = envelope or Envelope()
        self.slack = slack
        self.count = 0
        self.violations: list[str] = []
        self.ratios: dict[str, float] = {}
        self._measured: tuple[np.ndarray, np.ndarray] | None = None
        self._last: _Last | None = None
        self._rest: tuple[float, np.ndarray, np.ndarray] | None = None
        self._may_move = True
        self._stamp_ns = -1

    @property
    def worst(self) -> float:
        return max(self.ratios.values(), default=0.0)

    @property
    def position(self) -> np.ndarray | None:
        return None if self._last is None else self._last.position

    def measure(self, position, quaternion) -> None:
        """Note where the robot says it is."""
        self._measured = np.array(position, float), np.array(quaternion, float)

    def silence(self) -> None:
        """Note that no pose was published when one was due: the next starts anew."""
        self._last = None

    def forbid_motion(self, since_s: float) -> None:
        """From ``since_s`` on, the pose may not change any more."""
        self._may_move, self._rest_s = False, since_s

    def allow_motion(self) -> None:
        self._may_move = True

    def see(self, t_s, position, quaternion, gripper=None, frame_id=None, stamp_ns=None) -> None:
        """Judge one published pose."""
        self.count += 1
        p, q = np.array(position, float), np.array(quaternion, float)
        if not (p.shape == (3,) and q.shape == (4,) and np.isfinite([*p, *q]).all()):
            self._violate(f'not finite: {p} {q}')
            return
        self._judge_alone(p, q, gripper, frame_id, stamp_ns)
        last = self._last
        if last is None:
            self._judge_start(p, q, self._measured)
            self._last = _Last(t_s, p, q)
            return
        self._judge_step(t_s, p, q, last)

    def _judge_alone(self, p, q, gripper, frame_id, stamp_ns) -> None:
        envelope = self.envelope
        beyond = max(np.subtract(envelope.low, p).max(), np.subtract(p, envelope.high).max())
        if beyond > 1e-9:
            self._violate(f'outside the workspace by {beyond:.3g} m: {p}')
        norm_error = abs(math.sqrt(float(q @ q)) - 1.0)
        if norm_error > 1e-9:
            self._violate(f'quaternion is off the unit by {norm_error:.3g}')
        if gripper is not None and not 0.0 <= gripper <= 1.0:
            self._violate(f'gripper is {gripper}')
        if frame_id not in (None, envelope.frame_id):
            self._violate(f'frame is {frame_id!r}')
        if stamp_ns is not None:
            if stamp_ns < self._stamp_ns:
                self._violate(f'stamp went back by {self._stamp_ns - stamp_ns} ns')
            self._stamp_ns = stamp_ns

    def _judge_start(self, p, q, measured: tuple[np.ndarray, np.ndarray] | None) -> None:
        if measured is None:
            self._violate('a pose before the robot was measured')
            return
        way = float(np.linalg.norm(p - measured[0]))
        angle = float(np.linalg.norm(turn(measured[1], q)))
        if not (way <= START_WITHIN_M and angle <= START_WITHIN_RAD + 1e-9):
            self._violate(f'started {way:.3g} m and {angle:.3g} rad from the robot')

    def _judge_step(self, t_s, p, q, last: _Last) -> None:
        envelope = self.envelope
        # A pause counts as two periods: what was late is not made up by a leap.
        dt = min(t_s - last.t_s, 2.0 * envelope.period_s)
        if float(q @ last.quaternion) < 0.0:
            self._violate('the sign of the quaternion flipped')
        step, rotation = p - last.position, turn(last.quaternion, q)
        moved = bool(step.any() or rotation.any())
        if not self._may_move and t_s > self._rest_s and moved:
            self._violate(f'moved {np.linalg.norm(step):.3g} m when it should rest')
        if dt <= 0.0:
            if moved:
                self._violate('moved within no time')
            return
        velocity, spin = step / dt, rotation / dt
        change, spin_change = (velocity - last.velocity) / dt, (spin - last.spin) / dt
        # Two ticks of a busy machine may be microseconds apart, where rounding is divided by them.
        self._limit('speed', velocity, envelope.speed, ROUNDING / dt)
        self._limit('angular speed', spin, envelope.angular_speed, ROUNDING / dt)
        self._limit('acceleration', change, envelope.acceleration, ROUNDING / dt**2)
        self._limit(
            'angular acceleration', spin_change, envelope.angular_acceleration, ROUNDING / dt**2
        )
        self._last = _Last(t_s, p, q, velocity, spin)

    def _limit(self, what: str, value: np.ndarray, limit: float, rounding: float = 0.0) -> None:
        ratio = max(float(np.linalg.norm(value)) - rounding, 0.0) / limit
        self.ratios[what] = max(self.ratios.get(what, 0.0), ratio)
        if not ratio <= 1.0 + self.slack:
            self._violate(f'{what} is {ratio:.6g} of its limit')

    def _violate(self, text: str) -> None:
        self.violations.append(text)


def turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return axis times angle (3,) of the shortest rotation from ``a`` to ``b``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    vector = np.array(
        [
            bx * aw - bw * ax - by * az + bz * ay,
            by * aw - bw * ay - bz * ax + bx * az,
            bz * aw - bw * az - bx * ay + by * ax,
        ]
    )
    w = bx * ax + by * ay + bz * az + bw * aw
    if w < 0.0:
        vector, w = -vector, -w
    sine = float(np.linalg.norm(vector))
    return vector * 2.0 if sine < 1e-12 else vector * (2.0 * math.atan2(sine, w) / sine)


@dataclass(frozen=True)
class Record:
    """A pose as it was received: times on the steady clock of this machine, and its stamp."""

    t_s: float
    stamp_ns: int
    frame_id: str
    position: tuple[float, ...]
    quaternion: tuple[float, ...]


def judge_records(
    records: list[Record],
    envelope: Envelope,
    window_s: float = 0.2,
    by_stamp: bool = True,
    measured: Sequence[Record] = (),
) -> Oracle:
    """
    Judge what came over the middleware.

    Times are the poses' own stamps, or where a test turns the clock, from the times of arrival: a
    pose may have been sent as much as a period later than ``_sent_s`` says, if it came so late.
    Both are read some hundred microseconds away from the gate's own time, so speed and
    acceleration are means over ``window_s``; bounds, norm, sign, frame and single steps are
    judged pose by pose. After a silence the pose may start anew, where the robot was ``measured``.
    """
    stamps_s = np.array([record.stamp_ns - records[0].stamp_ns for record in records]) * 1e-9
    sent_s = stamps_s if by_stamp else _sent_s(records, envelope.period_s)
    oracle = Oracle(envelope, slack=0.02)
    longest = 2.0 * envelope.period_s * envelope.speed
    times, path = [0.0], []
    arrivals_s = stamps_s if by_stamp else np.array([record.t_s for record in records])
    late_s = np.clip(arrivals_s - sent_s, 0.0, envelope.period_s)
    may_be_late_s = []
    for i, record in enumerate(records):
        p, q = np.array(record.position), np.array(record.quaternion)
        oracle.count += 1
        if not np.isfinite([*p, *q]).all():
            oracle._violate(f'not finite: {p} {q}')
            continue
        stamp_ns = record.stamp_ns if by_stamp else None
        oracle._judge_alone(p, q, None, record.frame_id, stamp_ns)
        if path:
            last = path[-1]
            step = float(np.linalg.norm(p - last[0]))
            is_far = step > longest * (1.0 + oracle.slack)
            if float(q @ last[1]) < 0.0:
                oracle._violate('the sign of the quaternion flipped')
            if is_far and measured and record.t_s - records[i - 1].t_s > SILENCE_S:
                oracle._judge_start(p, q, _robot_at(record.t_s, p, measured))
                _judge_windows(oracle, np.array(times), np.array(may_be_late_s), path, window_s)
                times, path, may_be_late_s = [0.0], [(p, q)], [late_s[i]]
                continue
            if is_far:
                oracle._violate(f'a step of {step:.4g} m')
            gap = min(max(sent_s[i] - sent_s[i - 1], 0.0), 2.0 * envelope.period_s)
            times.append(times[-1] + gap)
        path.append((p, q))
        may_be_late_s.append(late_s[i])
    _judge_windows(oracle, np.array(times[: len(path)]), np.array(may_be_late_s), path, window_s)
    return oracle


def _robot_at(
    t_s: float, p: np.ndarray, measured: Sequence[Record]
) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Return where the robot was last measured: of the places of a robot that still moves, the
    nearest to ``p``. Which of two topics is heard first says little.
    """
    fresh = [m for m in measured if abs(t_s - m.t_s) <= SILENCE_S]
    if not fresh:
        return None
    nearest = min(fresh, key=lambda m: float(np.linalg.norm(p - np.array(m.position))))
    return np.array(nearest.position), np.array(nearest.quaternion)


def _sent_s(records: list[Record], period_s: float) -> np.ndarray:
    """
    Return when poses (n,) were sent, by their arrivals, if one is sent a period.

    A listener that had to wait hears several at once, all but the last one late.
    """
    ticks = period_s * np.arange(len(records))
    late_s = np.array([record.t_s for record in records]) - ticks
    return np.minimum.accumulate(late_s[::-1])[::-1] + ticks


def _judge_windows(
    oracle: Oracle, times: np.ndarray, late_s: np.ndarray, path: list, window_s: float
) -> None:
    """
    Judge mean speeds over windows, and how they change from one window to the next.

    A speed is too high where it is for each time (n,) that may be up to ``late_s`` later.
    """
    size = max(2, round(window_s / oracle.envelope.period_s))
    if len(path) <= 2 * size:
        return
    positions = np.array([p for p, _ in path])
    span = np.maximum(times[size:] - times[:-size], 1e-3)[:, None]
    way = positions[size:] - positions[:-size]
    velocity = way / span
    for v in (way / (span + late_s[size:, None]))[:: max(1, size // 4)]:
        oracle._limit('speed', v, oracle.envelope.speed)
    between = (times[2 * size :] - times[: -2 * size]) / 2.0
    change = (velocity[size:] - velocity[:-size]) / np.maximum(between, 1e-3)[:, None]
    for a in change[:: max(1, size // 4)]:
        # The stamps' error counts twice here.
        oracle._limit('acceleration', a / 1.1, oracle.envelope.acceleration)


def rest_s(records: list[Record], since_s: float, still_s: float = 0.15) -> float | None:
    """Return how long after ``since_s`` the pose first stood still for ``still_s``, or None."""
    after = [r for r in records if r.t_s >= since_s - 0.1]
    for i, record in enumerate(after):
        if record.t_s < since_s:
            continue
        until = record.t_s + still_s
        rest = [r for r in after[i:] if r.t_s <= until]
        lasts = after[-1].t_s >= until
        if lasts and all(r.position == record.position for r in rest):
            return record.t_s - since_s
    return None
