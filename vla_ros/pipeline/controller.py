"""
From commands, chunks and the measured pose to what the robot is told: task, playback and gate.

The pose node and the direct evaluation both run this very controller. Pure, and told the time.
"""

from __future__ import annotations

import math

from vla_ros.interfaces import ActionChunk, REFUSAL_CHANNELS, TERMINATION_CHANNEL
from vla_ros.pipeline.chunk import ChunkPlayer
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

    def __init__(self, limits: Limits, rules: Rules | None = None) -> None:
        self._session = Session(rules or Rules())
        self._player = ChunkPlayer(lead_s=limits.lead_s)
        self._gate = Gate(limits)
        #: Where the robot is; None before it was measured.
        self.measured: Measured | None = None
        self._newest: ActionChunk | None = None

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

    def ignore_before(self, now_ns: int) -> None:
        """Obey no command stamped up to now: one from before a restart must not move a robot."""
        self._session.ignore_before(now_ns)

    def start(self, text: str, stamp_ns: int, now_ns: int) -> bool:
        """Serve a command; return False if it is no newer than the last one or the last stop."""
        started = self._session.start(text, stamp_ns, now_ns)
        if started:
            self._player.clear()
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

    def reset(self, now_ns: int) -> bool:
        """Release the e-stop; motion needs a new command. Return False if there was none."""
        return self._session.reset(now_ns)

    def enable(self, enabled: bool) -> None:
        """Allow motion, or hold until allowed again; the task goes on afterwards."""
        self._session.enable(enabled)

    def accept(self, chunk: ActionChunk, now: Instant) -> str:
        """
        Take in what the policy wants; return '' or a code that says why it will not be played.

        Raises ValueError, naming the fault, for a chunk of which any value is unusable.
        """
        if not self._session.serves(chunk.command_stamp_ns):
            return 'chunk_of_another_command'
        refusals = {
            reason: float(chunk.column(channel)[0])
            for channel, reason in _REFUSAL_REASONS.items()
            if channel in chunk.channels
        }
        if not math.isfinite(sum(refusals.values())):
            raise ValueError('a refusal is not a finite number')
        if not self._session.understands(refusals, now.stamp_ns):
            return 'chunk_that_refuses'
        if not self._player.accept(chunk, now):
            return 'chunk_older_than_played'
        self._newest = chunk
        return ''

    def tick(self, now: Instant) -> GateOutput:
        """Return what to tell the robot now."""
        output = self._gate.tick(now, self._wish(now), self.measured)
        self._session.gated(output.reason)
        if not output.held:
            self._terminate()
        return output

    def _wish(self, now: Instant) -> Candidate | Reason:
        session = self._session
        return self._player.sample(now.stamp_ns) if session.may_move else session.reason

    def _terminate(self) -> None:
        """Count, once, what a chunk says about being done: the gate has let it through."""
        chunk, self._newest = self._newest, None
        if chunk is not None and TERMINATION_CHANNEL in chunk.channels:
            self._session.terminate(float(chunk.column(TERMINATION_CHANNEL)[0]))
