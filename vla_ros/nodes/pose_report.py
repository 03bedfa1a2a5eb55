"""What the pose node tells: the task on vla/status, its own health on /diagnostics."""

from __future__ import annotations

from collections import Counter
import math
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from numpy.typing import ArrayLike

from vla_ros.nodes import wiring
from vla_ros.nodes.diagnostics import Durations, ERROR, Health, OK, Stream, WARN
from vla_ros.pipeline.command import printable
from vla_ros.pipeline.controller import Controller
from vla_ros.pipeline.gate import FUTURE_TOLERANCE_S, GateOutput, Instant, Measured
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.session import State

_LEVELS = {State.HOLDING: WARN, State.ESTOPPED: ERROR}
#: A tick misses its deadline that comes after so many periods.
_LATE = 1.25
_POSE = wiring.ROBOT_POSE.name


class PoseReport:
    """
    Counts and measures what passes the gate.

    ``rejected`` counts messages that never became a candidate, by reason. ``latency`` is from an
    image's stamp to the first pose that follows from it, ``frame_age`` that of the image behind
    every pose; ``late_ticks`` missed their deadline. ``problem`` says what keeps every command
    from being obeyed, '' if nothing does. ``pose_age_s`` is how old the last robot_pose was by its
    stamp when it came, 0 where no stamp tells.
    """

    def __init__(self, controller: Controller) -> None:
        self.rejected: Counter[str] = Counter()
        self.problem = ''
        self.pose_age_s = 0.0
        self._gate = Reason.NO_POSE
        self._controller = controller
        self._ticks = Stream()
        self._late_ticks = 0
        self._outcomes: Counter[str] = Counter()
        self._period = Durations(window=500)
        self._last_tick_s = math.nan
        self._used_stamp_ns = 0
        self._told: tuple[object, ...] = ()
        self.start()

    def start(self) -> None:
        """Begin a new task: its latencies are its own."""
        self._latency = Durations()
        self._frame_age = Durations(window=500)

    def observe(self, now: Instant, output: GateOutput) -> None:
        """Take in one tick, ``now`` being just after its pose was published."""
        self._ticks.tick()
        self._gate = output.reason
        self._outcomes[output.reason.value] += 1
        if not math.isnan(self._last_tick_s):
            period_s = now.steady_s - self._last_tick_s
            self._period.add(period_s)
            self._late_ticks += period_s * self._controller.limits.rate_hz > _LATE
        self._last_tick_s = now.steady_s
        stamp_ns = output.image_stamp_ns
        if stamp_ns is None:
            return
        age_s = (now.stamp_ns - stamp_ns) * 1e-9
        self._frame_age.add(age_s)
        if stamp_ns != self._used_stamp_ns:
            self._used_stamp_ns = stamp_ns
            self._latency.add(age_s)

    def has_news(self) -> bool:
        """Return whether the task's state has changed since it was last told."""
        return self._told != self._key()

    def status(self) -> DiagnosticStatus:
        """Return the state of the task; latencies are from image stamp to first use as a pose."""
        self._told = self._key()
        controller = self._controller
        trouble = self._trouble()
        detail = controller.command if controller.reason is Reason.OK else controller.reason.value
        values = {
            'state': controller.state.value,
            'reason': controller.reason.value,
            'command': controller.command,
            'command_stamp_ns': controller.command_stamp_ns,
            'progress': f'{controller.progress:.3f}',
            **{key: f'{value:.1f}' for key, value in self._latency.values('latency').items()},
            'path_length_m': f'{controller.path_m:.4f}',
            'image_stamp_ns': self._used_stamp_ns,
            'workspace_min': _numbers(controller.limits.workspace_min),
            'workspace_max': _numbers(controller.limits.workspace_max),
        }
        return DiagnosticStatus(
            level=ERROR if trouble else _LEVELS.get(controller.state, OK),
            name='vla',
            message=f'{controller.state.value}: {trouble or detail}',
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def health(self) -> Health:
        controller = self._controller
        values = {
            'rate_hz': self._ticks.rate_hz(),
            **self._period.values('period'),
            'late_ticks': self._late_ticks,
            **self._latency.values('latency'),
            **self._frame_age.values('frame_age'),
            **{f'ticks_{reason}': n for reason, n in sorted(self._outcomes.items())},
            'ticks_limited': controller.limited_ticks,
            **{f'rejected_{what}': n for what, n in sorted(self.rejected.items())},
        }
        if controller.measured is not None:
            values['robot_pose_age_s'] = time.monotonic() - controller.measured.received_s
        if trouble := self._trouble():
            return Health(ERROR, trouble, values)
        message = f'{controller.state.value}: {controller.reason.value}'
        return Health(_LEVELS.get(controller.state, OK), message, values)

    def _key(self) -> tuple[object, ...]:
        controller = self._controller
        task = controller.command, controller.command_stamp_ns
        return controller.state, controller.reason, *task, self._gate

    def _trouble(self) -> str:
        """Return what keeps the robot from moving whatever it is told, '' if nothing does."""
        return self.problem or self._controller.rival or self._lost()

    def _lost(self) -> str:
        """Return why it is not known where the robot is, or that it is outside, and what to do."""
        measured, limits = self._controller.measured, self._controller.limits
        if self._gate in (Reason.NO_POSE, Reason.POSE_LATE):
            return self._late(measured)
        if measured is None:
            return ''
        if self._gate is Reason.POSE_MALFORMED:
            return f'{_POSE} is {_numbers(measured.pose.vector())}: it takes a unit quaternion'
        if self._gate is Reason.POSE_FRAME:
            return (
                f"{_POSE} is in '{printable(measured.frame_id)}', expected "
                f"'{limits.base_frame}': set base_frame or republish it"
            )
        if self._gate is Reason.POSE_OUTSIDE:
            return (
                f'the robot is at {_numbers(measured.pose.position)} m, outside the workspace '
                f'{_numbers(limits.workspace_min)} .. {_numbers(limits.workspace_max)} m: move it '
                'there by its own means, or set workspace_min and workspace_max'
            )
        return ''

    def _late(self, measured: Measured | None) -> str:
        age_s, timeout_s = self.pose_age_s, self._controller.limits.pose_timeout_s
        if not -FUTURE_TOLERANCE_S <= age_s <= timeout_s:
            side, most_s = ('before', timeout_s) if age_s > 0.0 else ('after', FUTURE_TOLERANCE_S)
            return (
                f'{_POSE} is stamped {abs(age_s):.2f} s {side} it comes, valid: {most_s:g} s at '
                'most; let its driver stamp with the time of measuring, and synchronise the clocks'
            )
        if measured is None:
            return f'nothing came on {_POSE} yet: start the driver of the robot or remap the topic'
        silent_s = self._last_tick_s - measured.received_s
        return (
            f'nothing came on {_POSE} for {silent_s:.1f} s, valid: {timeout_s:g} s at most; does '
            'the driver of the robot run?'
        )


def _numbers(values: ArrayLike) -> str:
    return ' '.join(f'{value:g}' for value in np.asarray(values, dtype=float))
