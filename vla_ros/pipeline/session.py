"""
The task the robot is on: a few facts, and one state and reason that follow from them.

Stopping is always allowed and immediate; moving needs a command that came after the last stop,
motion enabled and no e-stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from vla_ros.interfaces import REFUSAL_THRESHOLD
from vla_ros.pipeline.gate import FUTURE_TOLERANCE_S
from vla_ros.pipeline.reason import GATE_ENDINGS, Reason


class State(str, Enum):
    """What the user sees in ``vla/status``."""

    IDLE = 'idle'
    RUNNING = 'running'
    SUCCEEDED = 'succeeded'
    HOLDING = 'holding'
    ESTOPPED = 'estopped'


@dataclass(frozen=True)
class Rules:
    """
    When a task may begin to move and when it ends by itself.

    It has succeeded when the policy says so (a probability above ``termination_threshold``) in
    ``termination_count`` chunks in a row. It is refused when the policy refuses the command in
    its first ``refusal_count`` chunks. With ``confirm_before_motion`` every new command waits
    until motion is enabled. Speed then rises within ``enable_ramp_s``. An e-stop button that has
    been heard once and then not for ``button_timeout_s`` counts as pressed.
    """

    termination_threshold: float = 0.5
    termination_count: int = 3
    refusal_count: int = 3
    confirm_before_motion: bool = False
    enable_ramp_s: float = 1.0
    button_timeout_s: float = 0.5


def is_from_the_future(stamp_ns: int, now_ns: int) -> bool:
    """Return whether a stamp is of another clock than this one, or from before it jumped back."""
    return stamp_ns > now_ns + FUTURE_TOLERANCE_S * 1e9


class Session:
    """Events in, state and reason out."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._barrier_ns = 0
        self._halt = Reason.NO_COMMAND
        self._gate = Reason.NO_ACTION
        self._enabled = self._confirmed = True
        self._estopped = False
        self._above = self._refused = 0
        self._understood = False
        self._has_task = False
        #: Text and identity of the last command, '' and 0 before the first.
        self.command = ''
        self.command_stamp_ns = 0
        #: The policy's latest own estimate, 0 .. 1, of being done.
        self.progress = 0.0

    @property
    def state(self) -> State:
        if self._estopped:
            return State.ESTOPPED
        if not self._has_task:
            return {Reason.NO_COMMAND: State.IDLE, Reason.DONE: State.SUCCEEDED}.get(
                self._halt, State.HOLDING
            )
        return State.RUNNING if self.reason is Reason.OK else State.HOLDING

    @property
    def reason(self) -> Reason:
        """Why the state is what it is; OK while moving."""
        if self._estopped:
            return Reason.ESTOP
        if not self._has_task:
            return self._halt
        if not self._enabled:
            return Reason.DISABLED
        return self._gate if self._confirmed else Reason.UNCONFIRMED

    @property
    def may_move(self) -> bool:
        return self._has_task and self._enabled and self._confirmed and not self._estopped

    def serves(self, command_stamp_ns: int) -> bool:
        """Return whether the task at hand is that of the command with this identity."""
        return self._has_task and command_stamp_ns == self.command_stamp_ns

    def ignore_before(self, now_ns: int) -> None:
        """Obey no command stamped up to now: one from before a restart must not move a robot."""
        self._barrier_ns = max(self._barrier_ns, now_ns)

    def start(self, text: str, stamp_ns: int, now_ns: int) -> bool:
        """
        Serve a command; return False if it is no newer than the last one or the last stop.

        Nor is one from the future served: it may be older than the last stop.
        """
        # A barrier from the future was set before the clock jumped back.
        barrier_ns = 0 if is_from_the_future(self._barrier_ns, now_ns) else self._barrier_ns
        if self._estopped or stamp_ns <= barrier_ns or is_from_the_future(stamp_ns, now_ns):
            return False
        self._has_task = True
        self.command, self.command_stamp_ns, self._barrier_ns = text, stamp_ns, stamp_ns
        self.progress, self._above, self._gate = 0.0, 0, Reason.NO_ACTION
        self._understood, self._refused = False, 0
        self._confirmed = not self._rules.confirm_before_motion
        return True

    def stop(self, stamp_ns: int) -> None:
        """End the task at the user's word; commands stamped up to then are not obeyed any more."""
        self._end(Reason.STOPPED, stamp_ns)

    def cancel(self, now_ns: int) -> bool:
        """End the task; return False if there is none."""
        had_task = self._has_task
        if had_task:
            self._end(Reason.CANCELLED, now_ns)
        return had_task

    def estop(self, now_ns: int) -> None:
        """End the task and refuse every other until ``reset``."""
        self._end(Reason.ESTOP, now_ns)
        self._estopped = True

    def reset(self, now_ns: int) -> bool:
        """Release the e-stop; motion needs a new command. Return False if there was none."""
        if not self._estopped:
            return False
        self._end(Reason.NO_COMMAND, now_ns)
        self._estopped = False
        return True

    def enable(self, enabled: bool) -> bool:
        """
        Allow motion, or hold until allowed again; the task goes on afterwards.

        Confirms the present task. Returns whether motion was not allowed before and is now.
        """
        was_allowed = self._enabled and self._confirmed
        self._enabled, self._confirmed = enabled, self._confirmed or enabled
        return enabled and not was_allowed

    def terminate(self, probability: float) -> None:
        """Count a chunk in which the policy rates the task as done with ``probability``."""
        if not self._has_task:
            return
        self.progress = min(max(probability, 0.0), 1.0)
        above = probability > self._rules.termination_threshold
        self._above = self._above + 1 if above else 0
        if self._above >= self._rules.termination_count:
            self._has_task, self._halt = False, Reason.DONE

    def understands(self, refusals: Mapping[Reason, float], now_ns: int) -> bool:
        """
        Return whether the policy has understood the command, as of a chunk's ``refusals``.

        These are the probabilities of each reason to refuse it. Once understood, a command stays
        so: the hand may hide what it is about.
        """
        if not self._understood:
            self._understood = sum(refusals.values()) <= REFUSAL_THRESHOLD
            self._refused += not self._understood
        if self._has_task and self._refused >= self._rules.refusal_count:
            self._end(max(refusals, key=lambda reason: refusals[reason]), now_ns)
        return self._understood

    def gated(self, reason: Reason, now_ns: int) -> None:
        """Note what the gate made of the last tick; some of its reasons end the task."""
        self._gate = reason
        if self._has_task and reason in GATE_ENDINGS:
            self._end(reason, now_ns)

    def _end(self, reason: Reason, now_ns: int) -> None:
        self._has_task, self._halt = False, reason
        self.ignore_before(now_ns)
