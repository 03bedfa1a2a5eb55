"""
Plays action chunks by time: a policy speaks a few times a second, a robot listens at 50 Hz.

A chunk says where to be at which time, so what is played depends on the time alone: rows that the
inference took too long for are skipped, and a missed tick loses nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math

import numpy as np

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Array, normalised, Pose, slerp
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.pipeline.gate import Candidate, Instant
from vla_ros.pipeline.reason import Reason

BLEND_MODES = ('latest', 'linear', 'temporal_ensemble')
INTERPOLATIONS = ('linear', 'cubic')

#: Metres, radians and shares are far below; sums and squares of what is not do not overflow.
MAX_VALUE = 1e6
#: At ten chunks a second at most two overlap in a crossfade; more is a flood.
MAX_CROSSFADING = 4
#: More than all chunks of a second at ten a second.
MAX_IN_ENSEMBLE = 16


@dataclass(frozen=True)
class Playback:
    """
    How chunks become a stream; raises ConfigurationError.

    ``blend_mode``: ``latest`` plays the newest chunk alone; with ``linear`` it takes over within
    ``crossfade_s``; ``temporal_ensemble`` averages all that still play, the oldest with weight 1
    and each newer one with ``exp(-ensemble_decay)`` times the one before (ACT, Zhao et al. 2023).

    ``interpolation`` of positions between rows: ``linear`` passes through each row, ``cubic`` (a
    B-spline) cuts the corners there, so that velocity and acceleration do not jump. Neither is
    ever faster than the rows imply. Orientations turn along the arc between two rows.
    """

    blend_mode: str = 'linear'
    crossfade_s: float = 0.1
    ensemble_decay: float = 0.01
    interpolation: str = 'linear'

    def __post_init__(self) -> None:
        choices = {'blend_mode': BLEND_MODES, 'interpolation': INTERPOLATIONS}
        for name, valid in choices.items():
            if getattr(self, name) not in valid:
                raise ConfigurationError(
                    f'{name} is {getattr(self, name)!r}; valid: {", ".join(valid)}'
                )
        for name in ('crossfade_s', 'ensemble_decay'):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f'{name} is {getattr(self, name)}: give 0 or more')


class ChunkPlayer:
    """
    Plays the newest chunk, blended with the chunks before it.

    ``lead_s``: play poses so far ahead, to make up for a follower's lag (``Limits.lead_s``).
    """

    def __init__(self, lead_s: float = 0.0, playback: Playback | None = None) -> None:
        playback = playback or Playback()
        self.lead_s = lead_s
        self._playback = playback
        self._is_ensemble = playback.blend_mode == 'temporal_ensemble'
        self._crossfade_ns = playback.crossfade_s * 1e9 * (playback.blend_mode == 'linear')
        most = MAX_IN_ENSEMBLE if self._is_ensemble else MAX_CROSSFADING
        self._tracks: deque[_Track] = deque(maxlen=most)  # oldest first

    def accept(self, chunk: ActionChunk, now: Instant) -> bool:
        """
        Play ``chunk`` from now on; return False if it is older than the one being played.

        Raises ValueError, naming the fault, for a chunk of which any value is unusable.
        """
        track = _Track.of(chunk, now, self._playback.interpolation == 'cubic')
        if self._tracks:
            newest = self._tracks[-1]
            # A newest chunk that does not play now is left over from before a jump of the clock.
            if track.stamp_ns < newest.stamp_ns and newest.plays_at(now.stamp_ns):
                return False
            if track.mixes_with(newest):
                self._drop_over(now.stamp_ns)
            else:
                self._tracks.clear()
        self._tracks.append(track)
        return True

    def clear(self) -> None:
        """Forget every chunk."""
        self._tracks.clear()

    def sample(self, now_ns: int) -> Candidate | Reason:
        """Return the action for ``now_ns`` on the clock of the image stamps, or why none."""
        if not self._tracks:
            return Reason.NO_ACTION
        newest = self._tracks[-1]
        if now_ns > newest.end_ns:
            return Reason.CHUNK_ENDED
        at_ns = now_ns + self.lead_s * 1e9
        pose = self._average(at_ns) if self._is_ensemble else self._fade(now_ns, at_ns)
        return Candidate(
            pose=pose,
            gripper=newest.gripper_at(now_ns),  # the follower is about where it is to be now
            frame_id=newest.frame_id,
            stamp_ns=newest.stamp_ns,
            received_s=newest.received_s,
        )

    def _fade(self, now_ns: int, at_ns: float) -> Pose:
        """Return the pose while each chunk takes over from the one before."""
        pose = self._tracks[0].pose_at(at_ns)
        for track in list(self._tracks)[1:]:
            share = (
                (now_ns - track.accepted_ns) / self._crossfade_ns if self._crossfade_ns else 1.0
            )
            pose = _mix(pose, track.pose_at(at_ns), min(max(share, 0.0), 1.0))
        return pose

    def _average(self, at_ns: float) -> Pose:
        """Return the weighted mean pose of the chunks that still play."""
        poses = [track.pose_at(at_ns) for track in self._tracks if track.plays_at(at_ns)]
        if len(poses) < 2:
            return self._tracks[-1].pose_at(at_ns)
        weights = np.exp(-self._playback.ensemble_decay * np.arange(len(poses)))
        quaternions = np.array([pose.quaternion for pose in poses])
        # Both signs are the same rotation: all on the side of the newest.
        quaternions[quaternions @ quaternions[-1] < 0.0] *= -1.0
        return Pose(
            weights @ np.array([pose.position for pose in poses]) / weights.sum(),
            normalised(weights @ quaternions),
        )

    def _drop_over(self, now_ns: int) -> None:
        """Drop the chunks that have ended, or that a later one has taken over from completely."""
        while len(self._tracks) > 1:
            fading = now_ns - self._tracks[1].accepted_ns < self._crossfade_ns
            if self._tracks[0].plays_at(now_ns) if self._is_ensemble else fading:
                break
            self._tracks.popleft()


def check_chunk(chunk: ActionChunk) -> None:
    """Raise ValueError, naming the fault, unless every value is usable but for the rotations."""
    values = np.asarray(chunk.values)
    if values.ndim != 2 or len(values) < 1 or values.shape[1] != len(chunk.channels):
        raise ValueError(f'values have shape {values.shape} for {len(chunk.channels)} channels')
    missing = [name for name in POSE_CHANNELS if name not in chunk.channels]
    if missing:
        raise ValueError(f'channels missing: {", ".join(missing)}')
    if not (values.dtype.kind in 'fiu' and np.isfinite(values).all()):
        raise ValueError('a value is not a finite number')
    if not (np.abs(values.astype(float)) <= MAX_VALUE).all():
        raise ValueError(f'a value is beyond {MAX_VALUE:.0e}: no pose is there')
    if not 0.0 < chunk.dt_s < np.inf:
        raise ValueError(f'rows are {chunk.dt_s} s apart')


@dataclass(frozen=True, eq=False)
class _Track:
    """
    A checked chunk: (k, 3) positions and (k, 4) unit quaternions that keep their sign.

    ``controls`` (k + 2, 3) of a cubic one: the rows, and one beyond each end on a straight line.
    """

    positions: Array
    controls: Array | None
    quaternions: Array
    gripper: Array | None
    frame_id: str
    stamp_ns: int
    command_stamp_ns: int
    dt_ns: float
    received_s: float
    accepted_ns: int

    @staticmethod
    def of(chunk: ActionChunk, now: Instant, is_cubic: bool) -> _Track:
        check_chunk(chunk)
        pose = np.stack([chunk.column(name) for name in POSE_CHANNELS], axis=1)
        positions = pose[:, :3]
        is_one = len(positions) == 1
        ends = positions if is_one else 2.0 * positions[[0, -1]] - positions[[1, -2]]
        has_gripper = GRIPPER_CHANNEL in chunk.channels
        return _Track(
            positions=positions,
            controls=np.vstack([ends[:1], positions, ends[-1:]]) if is_cubic else None,
            quaternions=_continuous(pose[:, 3:]),
            gripper=chunk.column(GRIPPER_CHANNEL) if has_gripper else None,
            frame_id=chunk.frame_id,
            stamp_ns=chunk.stamp_ns,
            command_stamp_ns=chunk.command_stamp_ns,
            dt_ns=chunk.dt_s * 1e9,
            received_s=now.steady_s,
            accepted_ns=now.stamp_ns,
        )

    @property
    def end_ns(self) -> float:
        return self.stamp_ns + (len(self.positions) - 1) * self.dt_ns

    def plays_at(self, now_ns: float) -> bool:
        return self.stamp_ns <= now_ns <= self.end_ns

    def mixes_with(self, other: _Track) -> bool:
        same_task = self.command_stamp_ns == other.command_stamp_ns
        return same_task and self.frame_id == other.frame_id

    def pose_at(self, at_ns: float) -> Pose:
        """Return the pose between the two rows around ``at_ns``; the end rows last for ever."""
        row, fraction = self._row(at_ns)
        if row == len(self.positions) - 1:
            return Pose(self.positions[row], self.quaternions[row])
        quaternion = slerp(self.quaternions[row], self.quaternions[row + 1], fraction)
        if self.controls is not None:
            return Pose(_b_spline(fraction) @ self.controls[row : row + 4], quaternion)
        before, after = self.positions[row], self.positions[row + 1]
        return Pose(before + fraction * (after - before), quaternion)

    def gripper_at(self, at_ns: float) -> float | None:
        return None if self.gripper is None else float(self.gripper[self._row(at_ns)[0]])

    def _row(self, at_ns: float) -> tuple[int, float]:
        """Return the row at or before ``at_ns`` and the fraction of the way to the next."""
        steps = min(max((at_ns - self.stamp_ns) / self.dt_ns, 0.0), len(self.positions) - 1.0)
        return int(steps), steps - int(steps)


def _b_spline(t: float) -> Array:
    """Return the weights (4,) of the rows around, of a uniform cubic B-spline at ``t``, 0 .. 1."""
    rest = 1.0 - t
    inner, outer = 4.0 - 6.0 * t * t + 3.0 * t**3, 4.0 - 6.0 * rest * rest + 3.0 * rest**3
    return np.array([rest**3, inner, outer, t**3]) / 6.0


def _mix(a: Pose, b: Pose, share: float) -> Pose:
    """Return the pose with ``share`` of ``b`` and the rest of ``a``."""
    if share == 1.0:
        return b
    return Pose(
        a.position + share * (b.position - a.position), slerp(a.quaternion, b.quaternion, share)
    )


def _continuous(quaternions: Array) -> Array:
    """Return unit quaternions (k, 4), each on the same side as the one before."""
    norms = np.linalg.norm(quaternions, axis=1, keepdims=True)
    if not ((norms >= 0.9) & (norms <= 1.1)).all():
        raise ValueError(f'orientations have norms {norms.min():.3g} to {norms.max():.3g}, not 1')
    unit = quaternions / norms
    flips = np.where((unit[1:] * unit[:-1]).sum(axis=1) < 0.0, -1.0, 1.0)
    unit[1:] *= np.cumprod(flips)[:, None]
    return unit
