"""A managed node that says why a transition failed and survives requests that make no sense."""

from __future__ import annotations

from collections.abc import Callable
import traceback
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from vla_ros import heartbeat
from vla_ros.errors import ConfigurationError


class ManagedNode(LifecycleNode):
    """
    A lifecycle node with plain hooks: ``configure``, ``activate``, ``deactivate``, ``cleanup``.

    A hook raises ConfigurationError for a user's mistake: one line is logged and the node stays
    where it was. Any other exception is logged with its traceback and leads to ``unconfigured``.
    ``deactivate`` and ``cleanup`` are called on every way out and may find nothing to do.
    """

    def configure(self) -> None: ...

    def activate(self) -> None: ...

    def deactivate(self) -> None: ...

    def cleanup(self) -> None: ...

    def autostart(self) -> None:
        """Configure and activate as soon as the node spins, so that signals are heard."""

        def start() -> None:
            self.destroy_timer(timer)
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

        # A ROS clock may stand still.
        timer = self.create_timer(0.0, start, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt('configure', self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt('activate', self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt('deactivate', self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt('clean up', self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt('shut down', self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt('recover', self._release)

    def destroy_node(self) -> None:
        self._attempt('shut down', self._release)
        super().destroy_node()
        # rclpy leaves the state machine, which keeps the node in the graph until it is collected.
        self._state_machine.destroy_when_not_in_use()

    def _release(self) -> None:
        self.deactivate()
        self.cleanup()

    def _attempt(self, what: str, hook: Callable[[], None]) -> TransitionCallbackReturn:
        heartbeat.pause()  # loading a model takes as long as the disk takes
        # rclpy swallows exceptions of transition callbacks.
        try:
            hook()
        except ConfigurationError as error:
            self.get_logger().error(f'cannot {what}: {error}')
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().error(f'cannot {what}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _LifecycleNodeMixin__change_state(  # noqa: N802
        self, transition_id: int, *args: Any
    ) -> TransitionCallbackReturn:
        # In Humble and Jazzy a transition that the state does not allow ends spin (rclpy 1209).
        if transition_id not in [t[0] for t in self._state_machine.available_transitions]:
            state = self._state_machine.current_state[1]
            self.get_logger().warning(f'refused transition {transition_id} in state {state}')
            return TransitionCallbackReturn.FAILURE
        return super()._LifecycleNodeMixin__change_state(transition_id, *args)  # type: ignore[misc]
