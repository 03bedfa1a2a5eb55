"""
When an episode is over and what it was worth, by ground truth and by what the robot says.

The same judges watch the direct evaluation and the running graph.
"""

from __future__ import annotations

from typing import Protocol

from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State

#: A goal that has held for so long counts as reached, not as passed through.
HOLD_S = 0.5
#: After success the robot has so long to say that it is done.
STOP_WITHIN_S = 1.0
#: What may not move is watched for so long, and may move so far.
WATCH_S = 3.0
STILL_M = 0.01

#: The policy said that it will not do what was asked.
REFUSED = frozenset({Reason.COMMAND_NOT_UNDERSTOOD, Reason.OBJECT_UNCLEAR, Reason.OBJECT_NOT_SEEN})
#: There was nothing to do.
HELD = frozenset({Reason.NO_COMMAND, Reason.STOPPED})


class Judge(Protocol):
    """
    Watches an episode and knows at its end what it was worth.

    ``stopped``: the robot said that it was done within a second of success; ``false_stop``:
    it did without success. ``seconds`` and ``path_m`` are until success, else in all.
    """

    success: bool
    stopped: bool
    false_stop: bool
    seconds: float
    path_m: float

    def observe(
        self, time_s: float, holds: bool, state: State, reason: Reason, path_m: float
    ) -> bool:
        """
        Return whether the episode is over.

        ``time_s`` since the command, ``holds``: the goal does now, ``path_m``: moved so far.
        """


class TaskJudge:
    """The goal must hold for ``HOLD_S``, or when the robot says that it is done."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: tuple[float, float] | None = None
        self.success = self.stopped = self.false_stop = False
        self.seconds = self.path_m = 0.0

    def observe(
        self, time_s: float, holds: bool, state: State, reason: Reason, path_m: float
    ) -> bool:
        if not self.success:
            if not holds:
                self._since = None
            elif self._since is None:
                self._since = time_s, path_m
            self.seconds, self.path_m = self._since or (time_s, path_m)
        says_done = state is State.SUCCEEDED
        reached = self._since is not None
        held_s = time_s - self.seconds + 1e-6  # the times are sums of ticks
        self.success = self.success or (reached and (says_done or held_s >= HOLD_S))
        self.stopped = says_done and self.success
        self.false_stop = says_done and not self.success
        if self.success:
            return says_done or held_s >= STOP_WITHIN_S
        return says_done or reason in REFUSED or (time_s >= self._limit_s and not reached)


class RefusalJudge:
    """
    The robot must stay where it is for ``WATCH_S`` and say that it will not.

    Any reason of ``REFUSED`` or ``HELD`` will do: whether it is the right one is not judged.
    """

    stopped = false_stop = False

    def __init__(self) -> None:
        self.success = False
        self.seconds = self.path_m = 0.0

    def observe(
        self, time_s: float, holds: bool, state: State, reason: Reason, path_m: float
    ) -> bool:
        self.seconds, self.path_m = time_s, path_m
        self.success = path_m < STILL_M and reason in REFUSED | HELD
        return time_s >= WATCH_S
