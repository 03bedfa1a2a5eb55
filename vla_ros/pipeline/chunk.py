"""
Plays action chunks by time: a policy speaks a few times a second, a robot listens at 50 Hz.

A chunk says where to be at which time, so what is played depends on the time alone: rows that the
inference took too long for are skipped, and a missed tick loses nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from vla_ros.geometry import Array, Pose, slerp
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.pipeline.gate import Candidate, Instant
from vla_ros.pipeline.reason import Reason

#: At ten chunks a second at most two overlap in a crossfade; more is a flood.
MAX_OVERLAPPING = 4


class ChunkPlayer:
    """
    Plays the newest chunk, blending over from the chunks before it.

    ``lead_s``: play poses so far ahead, to make up for a follower's lag (``Limits.lead_s``).
    ``crossfade_s``: a new chunk takes over linearly in this time.
    """

    def __init__(self, lead_s: float = 0.0, crossfade_s: float = 0.1) -> None:
        self._lead_ns = lead_s * 1e9
        self._crossfade_ns = crossfade_s * 1e9
        self._tracks: deque[_Track] = deque(maxlen=MAX_OVERLAPPING)  # oldest first

    def accept(self, chunk: ActionChunk, now: Instant) -> bool:
        """
        Play ``chunk`` from now on; return False if it is older than the one being played.

        Raises ValueError, naming the fault, for a chunk of which any value is unusable.
        """
        track = _Track.of(chunk, now)
        if self._tracks:
            newest = self._tracks[-1]
            # A newest chunk that does not play now is left over from before a jump of the clock.
            if track.stamp_ns < newest.stamp_ns and newest.plays_at(now.stamp_ns):
                return False
            if track.mixes_with(newest):
                self._drop_faded(now.stamp_ns)
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
        at_ns = now_ns + self._lead_ns
        pose = self._tracks[0].pose_at(at_ns)
        for track in list(self._tracks)[1:]:
            share = (
                (now_ns - track.accepted_ns) / self._crossfade_ns if self._crossfade_ns else 1.0
            )
            pose = _mix(pose, track.pose_at(at_ns), min(max(share, 0.0), 1.0))
        return Candidate(
            pose=pose,
            gripper=newest.gripper_at(now_ns),  # the follower is about where it is to be now
            frame_id=newest.frame_id,
            stamp_ns=newest.stamp_ns,
            received_s=newest.received_s,
        )

    def _drop_faded(self, now_ns: int) -> None:
        """Drop the chunks that a later one has taken over from completely."""
        while len(self._tracks) > 1:
            if now_ns - self._tracks[1].accepted_ns < self._crossfade_ns:
                break
            self._tracks.popleft()


@dataclass(frozen=True, eq=False)
class _Track:
    """A checked chunk: (k, 3) positions and (k, 4) unit quaternions that keep their sign."""

    positions: Array
    quaternions: Array
    gripper: Array | None
    frame_id: str
    stamp_ns: int
    command_stamp_ns: int
    dt_ns: float
    received_s: float
    accepted_ns: int

    @staticmethod
    def of(chunk: ActionChunk, now: Instant) -> _Track:
        values = np.asarray(chunk.values)
        if values.ndim != 2 or len(values) < 1 or values.shape[1] != len(chunk.channels):
            raise ValueError(
                f'values have shape {values.shape} for {len(chunk.channels)} channels'
            )
        missing = [name for name in POSE_CHANNELS if name not in chunk.channels]
        if missing:
            raise ValueError(f'channels missing: {", ".join(missing)}')
        if not (values.dtype.kind in 'fiu' and np.isfinite(values).all()):
            raise ValueError('a value is not a finite number')
        if not 0.0 < chunk.dt_s < np.inf:
            raise ValueError(f'rows are {chunk.dt_s} s apart')
        pose = np.stack([chunk.column(name) for name in POSE_CHANNELS], axis=1)
        has_gripper = GRIPPER_CHANNEL in chunk.channels
        return _Track(
            positions=pose[:, :3],
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

    def plays_at(self, now_ns: int) -> bool:
        return self.stamp_ns <= now_ns <= self.end_ns

    def mixes_with(self, other: _Track) -> bool:
        same_task = self.command_stamp_ns == other.command_stamp_ns
        return same_task and self.frame_id == other.frame_id

    def pose_at(self, at_ns: float) -> Pose:
        """Return the pose between the two rows around ``at_ns``; the end rows last for ever."""
        row, fraction = self._row(at_ns)
        if fraction == 0.0:
            return Pose(self.positions[row], self.quaternions[row])
        before, after = self.positions[row], self.positions[row + 1]
        return Pose(
            before + fraction * (after - before),
            slerp(self.quaternions[row], self.quaternions[row + 1], fraction),
        )

    def gripper_at(self, at_ns: float) -> float | None:
        return None if self.gripper is None else float(self.gripper[self._row(at_ns)[0]])

    def _row(self, at_ns: float) -> tuple[int, float]:
        """Return the row at or before ``at_ns`` and the fraction of the way to the next."""
        steps = min(max((at_ns - self.stamp_ns) / self.dt_ns, 0.0), len(self.positions) - 1.0)
        return int(steps), steps - int(steps)


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
