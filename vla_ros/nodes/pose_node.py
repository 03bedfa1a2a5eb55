"""
Action chunks to a servo-ready stream of poses: the only door to the robot.

Subscribes: vla/action_chunk, vla/command_embedding, natural_language_command, robot_pose,
estop_button
Publishes: robot_action, gripper_action, vla/status, /diagnostics
Serves: ~/estop, ~/reset, ~/cancel, ~/enable

Ticks on the steady clock, so a stalled ROS clock leads to a hold and not to silence. Never imports
a learning framework: a model that hangs or crashes cannot take this process with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
import sys
import time
from typing import Any, TypeVar

from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    chunk_from_message,
    command_from_message,
    pose_from_message,
    pose_to_message,
    to_ns,
)
from vla_ros.nodes.diagnostics import report_health
from vla_ros.nodes.estop_latch import EstopLatch, latch_path
from vla_ros.nodes.executors import KeepsTime
from vla_ros.nodes.params import declare, PoseParams
from vla_ros.nodes.pose_report import PoseReport
from vla_ros.nodes.rivals import Lookout, SAID, WATCHED
from vla_ros.nodes.runner import run
from vla_ros.pipeline.chunk import Playback
from vla_ros.pipeline.command import is_stop, printable
from vla_ros.pipeline.controller import Controller
from vla_ros.pipeline.gate import FUTURE_TOLERANCE_S, GateOutput, Instant, Measured
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.session import is_from_the_future, Rules, State

STATUS_PERIOD_S = 0.5
#: Both clocks read within this are of one moment; so often it is tried.
AT_ONCE_S, READINGS = 5e-4, 3
AHEAD = (
    'it is stamped {:.2f} s after now: synchronise the clocks of the machines, or if the clock '
    'was set back, give the command again'
)
BEHIND = (
    'it is stamped {:.2f} s before now, no later than the last command, stop or start of this '
    'node: give it again, and synchronise the clocks of the machines'
)
DISABLED = 'disabled until this node ends; ~/estop outlasts it'
LATCH_LOST = 'the e-stop would not survive a restart of this node: {}'
LATCH_STAYS = 'the e-stop will be latched again after a restart of this node: {}'
LOWERABLE = tuple(f.name for f in fields(PoseParams) if f.metadata.get('lowerable'))

P = TypeVar('P')


class PoseNode(Node, KeepsTime):
    def __init__(self, **options: Any) -> None:
        super().__init__('pose', **options)
        params = declare(self, PoseParams)
        self._limits = _part(Limits, params)
        self._controller = Controller(self._limits, _part(Rules, params), _part(Playback, params))
        self._lookout = Lookout(self, WATCHED, SAID)
        self._has_clock = False
        #: When the ROS clock was last seen to go on.
        self._moved = self._now()
        self._report = PoseReport(self._controller)
        clock = self.resolve_topic_name(wiring.CLOCK.name)
        self._report.problem = (
            f'use_sim_time is set and nothing has come on {clock}: is its publisher running? No '
            'command is obeyed before; give it again then'
        )
        self._latch = EstopLatch(latch_path(self.get_fully_qualified_name()))
        if self._latch.is_set:
            self._controller.estop(self._now_ns())
            self.get_logger().warning('the e-stop is latched since before this start: reset it')
        self._wire()
        self.add_on_set_parameters_callback(self._on_parameters)

    def _wire(self) -> None:
        self._robot_action = wiring.ROBOT_ACTION.publisher(self)
        self._gripper_action = wiring.GRIPPER_ACTION.publisher(self)
        self._status = wiring.STATUS.publisher(self)
        wiring.ACTION_CHUNK.subscription(self, self._on_chunk)
        wiring.COMMAND_EMBEDDING.subscription(self, self._on_command)
        wiring.COMMAND.subscription(self, self._on_text)
        wiring.ROBOT_POSE.subscription(self, self._on_robot_pose)
        wiring.ESTOP_BUTTON.subscription(self, self._on_button)
        wiring.ESTOP.serve(self, self._on_estop)
        wiring.RESET.serve(self, self._on_reset)
        wiring.CANCEL.serve(self, self._on_cancel)
        wiring.ENABLE.serve(self, self._on_enable)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.ticker = self.create_timer(1.0 / self._limits.rate_hz, self._tick, clock=steady)
        self.create_timer(STATUS_PERIOD_S, self._publish_status, clock=steady)
        report_health(self, self._report.health)

    def _now(self) -> Instant:
        """Return one moment on both clocks, read again where this process was paused between."""
        for _ in range(READINGS):
            steady_s, stamp_ns = time.monotonic(), self._now_ns()
            if time.monotonic() - steady_s < AT_ONCE_S:
                break
        return Instant(steady_s, stamp_ns)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_robot_pose(self, message: PoseStamped) -> None:
        now = self._now()
        if self._lookout.is_contested(wiring.ROBOT_POSE, now.steady_s):
            return  # of two places the robot is at one, and nobody knows which
        age_s = self._report.pose_age_s = self._age_s(to_ns(message.header.stamp), now)
        if age_s < -FUTURE_TOLERANCE_S:
            self._report.rejected['robot_pose_from_the_future'] += 1
            return
        # As if it had come when it was measured: what is sent again and again grows old as well.
        measured_s = now.steady_s - max(age_s, 0.0)
        pose = pose_from_message(message)
        self._controller.measured = Measured(pose, message.header.frame_id, measured_s)

    def _age_s(self, stamp_ns: int, now: Instant) -> float:
        """Return how old a stamp is, 0 where none tells: it is not set, or the clock stands."""
        if now.stamp_ns != self._moved.stamp_ns:
            self._moved = now
        timeout_s = self._controller.limits.pose_timeout_s
        stands = now.steady_s - self._moved.steady_s > timeout_s
        return 0.0 if stands or not stamp_ns else (now.stamp_ns - stamp_ns) * 1e-9

    def _on_text(self, message: String) -> None:
        """Stop at once, whatever the command node is doing; commands come by their embedding."""
        if is_stop(message.data):
            self._controller.stop(self._now_ns())

    def _on_command(self, message: Image) -> None:
        now_ns = self._now_ns()
        if self._lookout.is_contested(wiring.COMMAND_EMBEDDING, time.monotonic()):
            self._report.rejected['command_beside_second_publisher'] += 1
            self._controller.stop(now_ns)  # nobody knows whose it is
            return
        try:
            command = command_from_message(message)
        except ValueError as error:
            self._reject('command', error)
            self._controller.stop(now_ns)
            return
        self._serve(command, now_ns)

    def _serve(self, command: EncodedCommand, now_ns: int) -> None:
        is_ahead = is_from_the_future(command.stamp_ns, now_ns)
        if command.is_empty:
            self._controller.stop(now_ns if is_ahead else command.stamp_ns)
        elif not self._sees_clock(now_ns):
            self._refuse_command('before_clock', self._report.problem)
        elif is_ahead:
            ahead_s = (command.stamp_ns - now_ns) * 1e-9
            self._refuse_command('from_the_future', AHEAD.format(ahead_s))
            self._controller.stop(now_ns)
        elif self._controller.start(command.text, command.stamp_ns, now_ns):
            self._report.start()
        else:
            self._refuse_old(command.stamp_ns, now_ns)

    def _refuse_old(self, stamp_ns: int, now_ns: int) -> None:
        if stamp_ns and stamp_ns == self._controller.command_stamp_ns:
            return  # delivered again
        if self._controller.state is State.ESTOPPED:
            self._refuse_command('while_estopped', 'the e-stop is latched: reset it first')
        else:
            self._refuse_command('too_old', BEHIND.format((now_ns - stamp_ns) * 1e-9))

    def _sees_clock(self, now_ns: int) -> bool:
        """Return whether there is a time yet: /clock may begin later than this node."""
        if not self._has_clock and now_ns > 0:
            self._has_clock, self._report.problem = True, ''
            self._controller.ignore_before(now_ns)
        return self._has_clock

    def _on_chunk(self, message: JointTrajectory) -> None:
        now = self._now()
        self._look_around(now.steady_s)
        try:
            rejected = self._controller.accept(chunk_from_message(message), now)
        except ValueError as error:
            self._reject('chunk', error)
            return
        if rejected:
            self._report.rejected[rejected] += 1

    def _reject(self, what: str, error: ValueError) -> None:
        self._report.rejected[f'{what}_malformed'] += 1
        self.get_logger().warning(
            f'refused a {what}: {printable(str(error))}', throttle_duration_sec=1.0
        )

    def _refuse_command(self, why: str, sentence: str) -> None:
        self._report.rejected[f'command_{why}'] += 1
        self.get_logger().warning(f'refused a command: {sentence}', throttle_duration_sec=1.0)

    def _tick(self) -> None:
        now = self._now()
        self._sees_clock(now.stamp_ns)
        self._look_around(now.steady_s)
        output = self._controller.tick(now)
        self._publish(output, now.stamp_ns)
        self._remember()
        self._report.observe(Instant(now.steady_s, self._now_ns()), output)
        if self._report.has_news():
            self._publish_status()

    def _publish(self, output: GateOutput, stamp_ns: int) -> None:
        if output.pose is not None:
            message = pose_to_message(output.pose, stamp_ns, self._limits.base_frame)
            self._robot_action.publish(message)
        if output.gripper is not None:
            self._gripper_action.publish(Float32(data=output.gripper))

    def _publish_status(self) -> None:
        self._status.publish(self._report.status())

    def _look_around(self, now_s: float) -> None:
        """Notice second publishers: in each tick, and before what may be theirs is taken."""
        rival = self._lookout.look(now_s)
        if rival and rival != self._controller.rival:
            self.get_logger().error(f'{rival}: the robot is held while both are there')
        self._controller.rival = rival

    def _remember(self) -> str:
        """Keep the e-stop's latch beyond the end of this process; return '', or why it is not."""
        is_latched = self._controller.state is State.ESTOPPED
        try:
            self._latch.set(is_latched)
        except OSError as error:
            fault = (LATCH_LOST if is_latched else LATCH_STAYS).format(error)
            self.get_logger().error(fault)
            return fault
        return ''

    def _on_button(self, message: Bool) -> None:
        self._controller.press(message.data, self._now())

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in LOWERABLE}
        try:
            self._controller.lower(**changes)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._controller.estop(self._now_ns())
        self._tick()  # before the answer, which may wait 100 ms for a client that has just come
        response.success, response.message = True, 'stopped; reset releases it'
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refusal = self._controller.reset(self._now())
        fault = self._remember()
        released = f'released, but {fault}' if fault else 'released; give a command'
        response.success, response.message = not refusal, refusal or released
        return response

    def _on_cancel(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._controller.cancel(self._now_ns())
        self._tick()
        response.message = 'cancelled' if response.success else 'there is no task to cancel'
        return response

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._controller.enable(request.data, time.monotonic())
        self._tick()
        response.success, response.message = True, 'enabled' if request.data else DISABLED
        return response


def _part(cls: type[P], params: PoseParams) -> P:
    """Return those of the parameters that ``cls`` has as fields."""
    return cls(**{f.name: getattr(params, f.name) for f in fields(cls)})  # type: ignore[arg-type]


def main(args: Sequence[str] | None = None) -> int:
    return run(PoseNode, args)


if __name__ == '__main__':
    sys.exit(main())
