"""
From commands, chunks and the measured pose to what the robot is told: task, playback and gate.

The pose node and the direct evaluation both run this very controller. Pure, and told the time.
"""

from __future__ import annotations

import math

from vla_ros.interfaces import ActionChunk, REFUSAL_CHANNELS, TERMINATION_CHANNEL
from vla_ros.pipeline.chunk import check_chunk, ChunkPlayer, Playback
from vla_ros.pipeline.gate import Candidate, Gate, GateOutput, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import Rules, Session, State

#: What each refusal of a policy means for the task.
_REFUSAL_REASONS = dict(
    zip(
        REFUSAL_CHANNELS,
        (Reason.COMMAND_NOT_UNDERSTOOD, Reason.OBJECT_UNCLEAR, Reason.OBJECT_NOT_SEEN),
        strict=True,
    )
)


class Controller:
    """
    Events in, a ``GateOutput`` a tick out; call ``tick`` at ``limits.rate_hz``.

    A task is that of one command; only chunks that carry its identity are played.
    """

    def __init__(
        self, limits: Limits, rules: Rules | None = None, playback: Playback | None = None
    ) -> None:
        self._rules = rules or Rules()
        self._session = Session(self._rules)
        self._player = ChunkPlayer(limits.lead_s, playback)
        self._gate = Gate(limits)
        self._newest: ActionChunk | None = None
        self._button: tuple[bool, float] | None = None
        self._enabled_s = -math.inf
        #: Where the robot is; None before it was measured.
        self.measured: Measured | None = None
        #: Who else moves the robot, '' for nobody: chunks are refused and the robot is held.
        self.rival = ''

    @property
    def state(self) -> State:
        return self._session.state

    @property
    def reason(self) -> Reason:
        """Why the state is what it is; OK while moving."""
        return self._session.reason

    @property
    def command(self) -> str:
        """The text of the last command, '' before the first."""
        return self._session.command

    @property
    def command_stamp_ns(self) -> int:
        """The identity of the last command, 0 before the first."""
        return self._session.command_stamp_ns

    @property
    def progress(self) -> float:
        """The policy's latest own estimate, 0 .. 1, of being done."""
        return self._session.progress

    @property
    def path_m(self) -> float:
        """How far this task has moved the target."""
        return self._gate.path_m

    @property
    def limited_ticks(self) -> int:
        """Ticks in which the policy asked for more than the speed limits allow."""
        return self._gate.limited_ticks

    @property
    def limits(self) -> Limits:
        """What every pose keeps to now."""
        return self._gate.limits

    def lower(self, **changes: float) -> None:
        """Lower some of the limits; raises ConfigurationError if one would rise."""
        self._gate.lower(**changes)
        self._player.lead_s = self._gate.limits.lead_s

    def ignore_before(self, now_ns: int) -> None:
        """Obey no command stamped up to now: one from before a restart must not move a robot."""
        self._session.ignore_before(now_ns)

    def start(self, text: str, stamp_ns: int, now_ns: int) -> bool:
        """Serve a command; return False as ``Session.start`` does."""
        started = self._session.start(text, stamp_ns, now_ns)
        if started:
            self._player.clear()
            self._gate.begin()
            self._newest = None
        return started

    def stop(self, stamp_ns: int) -> None:
        """End the task at the user's word; commands stamped up to then are not obeyed any more."""
        self._session.stop(stamp_ns)

    def cancel(self, now_ns: int) -> bool:
        """End the task; return False if there is none."""
        return self._session.cancel(now_ns)

    def estop(self, now_ns: int) -> None:
        """End the task and refuse every other until ``reset``."""
        self._session.estop(now_ns)

    def press(self, pressed: bool, now: Instant) -> None:
        """Note the e-stop button; once heard, it has to go on to be."""
        self._button = pressed, now.steady_s
        if pressed:
            self.estop(now.stamp_ns)

    def reset(self, now: Instant) -> str:
        """Release the e-stop; motion needs a new command. Return '', or why it was refused."""
        cause = self._estop_cause(now.steady_s)
        if cause:
            return cause
        return '' if self._session.reset(now.stamp_ns) else 'there is no e-stop to release'

    def enable(self, enabled: bool, now_s: float) -> None:
        """
        Allow motion, or hold until allowed again; the task goes on afterwards.

        Speed rises from 0 within ``Rules.enable_ramp_s`` of the steady time ``now_s``.
        """
        if self._session.enable(enabled):
            self._enabled_s = now_s

    def accept(self, chunk: ActionChunk, now: Instant) -> str:
        """
        Take in what the policy wants; return '' or a code that says why it will not be played.

        Raises ValueError, naming the fault, for a chunk of which any value is unusable.
        """
        if not self._session.serves(chunk.command_stamp_ns):
            return 'chunk_of_another_command'
        check_chunk(chunk)
        if self.rival:
            return 'chunk_beside_second_publisher'
        refusals = {
            reason: float(chunk.column(channel)[0])
            for channel, reason in _REFUSAL_REASONS.items()
            if channel in chunk.channels
        }
        if not self._session.understands(refusals, now.stamp_ns):
            return 'chunk_that_refuses'
        if not self._player.accept(chunk, now):
            return 'chunk_older_than_played'
        self._newest = chunk
        return ''

    def tick(self, now: Instant) -> GateOutput:
        """Return what to tell the robot now."""
        if self._estop_cause(now.steady_s):
            self.estop(now.stamp_ns)
        if self.rival:
            self._player.clear()  # what was taken before may be the other's
        share = (now.steady_s - self._enabled_s) / self._rules.enable_ramp_s
        output = self._gate.tick(now, self._wish(now), self.measured, min(max(share, 0.0), 1.0))
        self._session.gated(self._told(output.reason), now.stamp_ns)
        if not output.held:
            self._terminate()
        return output

    def _told(self, reason: Reason) -> Reason:
        """Return why it is held as the user can mend it: no pose is believed beside a rival."""
        is_without_pose = reason in (Reason.NO_POSE, Reason.POSE_LATE)
        return Reason.SECOND_PUBLISHER if self.rival and is_without_pose else reason

    def _wish(self, now: Instant) -> Candidate | Reason:
        session = self._session
        if not session.may_move:
            return session.reason
        return Reason.SECOND_PUBLISHER if self.rival else self._player.sample(now.stamp_ns)

    def _estop_cause(self, now_s: float) -> str:
        """Return what keeps the e-stop on, '' if nothing does."""
        if self._button is None:
            return ''
        pressed, heard_s = self._button
        if pressed:
            return 'the e-stop button is pressed'
        is_silent = not now_s - heard_s <= self._rules.button_timeout_s
        return 'the e-stop button is silent' if is_silent else ''

    def _terminate(self) -> None:
        """Count, once, what a chunk says about being done: the gate has let it through."""
        chunk, self._newest = self._newest, None
        if chunk is not None and TERMINATION_CHANNEL in chunk.channels:
            self._session.terminate(float(chunk.column(TERMINATION_CHANNEL)[0]))
