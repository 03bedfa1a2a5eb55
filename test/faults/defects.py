"""
Twelve defects seeded into the gate, each of which some promise has to catch.

They are put into the running process and taken out again; the product knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import tempfile
from unittest.mock import patch
import warnings

from faults.every_promise import PROMISES
from faults.ledger import keep
import numpy as np

from vla_ros.geometry import normalised, Pose
from vla_ros.nodes import estop_latch
from vla_ros.pipeline import gate, motion
from vla_ros.pipeline.gate import Gate
from vla_ros.pipeline.motion import Limits, MotionLimiter
from vla_ros.pipeline.reason import Reason

#: So many trials of a promise show a defect, if it does at all.
SIZE = {'A1': 10_000, 'A1.gate': 2_000, 'A2': 2_500, 'A4': 60}
DEFAULT_SIZE = 22


def _nan_passes():
    """Clip a target into the workspace instead of refusing it: np.clip keeps NaN."""
    judge, step = Gate._judge, MotionLimiter.step

    def careless(self, now, wish, robot):
        reason = judge(self, now, wish, robot)
        turns = reason is Reason.NOT_FINITE and np.isfinite(wish.pose.quaternion).all()
        return Reason.OK if turns and np.isfinite(wish.gripper or 0.0) else reason

    def clipped(self, target, dt_s, speed_share=1.0):
        if np.isfinite(target.position).all():
            return step(self, target, dt_s, speed_share)
        self.pose = Pose(self.limits.inside(target.position), self.pose.quaternion)
        return self.pose

    return [(Gate, '_judge', careless), (MotionLimiter, 'step', clipped)]


def _future_is_fresh():
    return [(gate, 'FUTURE_TOLERANCE_S', float('inf'))]


def _old_is_fresh():
    return [(Gate, '_judge', _forgiving(Reason.IMAGE_OLD))]


def _arrival_ignored():
    """Judge freshness by the ROS clock alone."""
    return [(gate, '_is_recent', lambda age_s, timeout_s: True)]


def _frame_ignored():
    return [(Gate, '_judge', _forgiving(Reason.WRONG_FRAME))]


def _box_forgotten():
    return [
        (Gate, '_within', lambda self, pose: True),
        (Limits, 'inside', lambda self, position: np.array(position, float)),
        (MotionLimiter, '_can_stop', lambda self, velocity, dt_s: True),
    ]


def _wrong_dt():
    """Count every tick as two periods."""
    return [(Gate, '_elapsed_s', lambda self, now: 2.0 / self._limits.rate_hz)]


def _pause_made_up():
    def elapsed(self, now):
        last_s, self._last_s = self._last_s, now.steady_s
        return 0.0 if last_s is None else now.steady_s - last_s

    return [(Gate, '_elapsed_s', elapsed)]


def _no_acceleration_limit():
    def approach(error, velocity, dt_s, max_speed, max_acceleration):
        distance = float(np.linalg.norm(error))
        return error * (min(max_speed, distance / dt_s) / distance) if distance else error * 0.0

    return [(motion, '_approach', approach)]


def _zeros_as_hold():
    def brake(self, dt_s):
        self.velocity = self.angular_velocity = np.zeros(3)
        self.pose = Pose(np.zeros(3), self.pose.quaternion)
        return self.pose

    return [(MotionLimiter, 'brake', brake)]


def _sign_flips():
    """Always give the quaternion with a positive w, as many libraries do."""

    def rotated(quaternion, rotation_vector):
        turned = rotate(quaternion, rotation_vector)
        return -turned if turned[3] < 0.0 else turned

    rotate = motion._rotated
    return [(motion, '_rotated', rotated), (motion, 'normalised', _positive)]


def _latch_forgotten():
    """Start every time as if nobody had pressed."""

    def begin(self, path):
        self._path, self.is_set = path, False

    return [(estop_latch.EstopLatch, '__init__', begin)]


def _positive(quaternion):
    unit = normalised(quaternion)
    return -unit if unit[3] < 0.0 else unit


def _forgiving(forgiven: Reason) -> Callable:
    judge = Gate._judge

    def forgive(self, now, wish, robot):
        reason = judge(self, now, wish, robot)
        return Reason.OK if reason is forgiven else reason

    return forgive


#: Name of each defect: what it changes, and the promises that may catch it.
DEFECTS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    'nan_passes': (_nan_passes, ('A1.gate',)),
    'future_is_fresh': (_future_is_fresh, ('B2',)),
    'old_is_fresh': (_old_is_fresh, ('B2',)),
    'arrival_ignored': (_arrival_ignored, ('B3',)),
    'frame_ignored': (_frame_ignored, ('A6',)),
    'box_forgotten': (_box_forgotten, ('A1', 'A2')),
    'wrong_dt': (_wrong_dt, ('A2',)),
    'pause_made_up': (_pause_made_up, ('F5', 'A2')),
    'no_acceleration_limit': (_no_acceleration_limit, ('A2',)),
    'zeros_as_hold': (_zeros_as_hold, ('A1', 'A2')),
    'sign_flips': (_sign_flips, ('A2',)),
    'latch_forgotten': (_latch_forgotten, ('G1.latch',)),
}


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """Put a defect into this process for a while."""
    changes = DEFECTS[name][0]()
    patches = [patch.object(owner, attribute, new) for owner, attribute, new in changes]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def caught_by(name: str, seed: int = 1) -> list[str]:
    """Return the ids of the promises that break under a defect."""
    broken = []
    with tempfile.TemporaryDirectory() as folder, seeded(name), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for id in DEFECTS[name][1]:
            line = keep(PROMISES[id], SIZE.get(id, DEFAULT_SIZE), seed, Path(folder))
            if line['violations']:
                broken.append(id)
    return broken
