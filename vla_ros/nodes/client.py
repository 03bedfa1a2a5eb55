"""
A user of the graph, for the command line and the demo: gives commands and watches.

Publishes: natural_language_command
Subscribes: vla/status, sim/state; until all is ready vla/image, robot_pose, gripper_state
Calls: the pose node's ~/estop, ~/reset, ~/cancel and the sim node's ~/reset
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
import os
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from std_msgs.msg import String

from vla_ros.bringup import Options
from vla_ros.domain import domain_id
from vla_ros.errors import ConfigurationError
from vla_ros.interrupts import signals_deferred
from vla_ros.nodes import wiring
from vla_ros.nodes.in_process import Inbox

#: Of the SROS2 policy; without security it means nothing.
ENCLAVE = '/vla_ros/operator'
#: After discovery, until a command was surely received.
ACKNOWLEDGE_S = 2.0
#: The nodes that have to hear a command; the command node does once its encoder is loaded.
_LISTENERS = tuple(wiring.COMMAND.subscribers.split(', '))


@dataclass(frozen=True)
class Status:
    """What the pose node says about the task; ``values`` has everything as text."""

    state: str
    reason: str
    command: str
    command_stamp_ns: int
    values: dict[str, str]

    @classmethod
    def from_message(cls, message: DiagnosticStatus) -> Status:
        values = {pair.key: pair.value for pair in message.values}
        return cls(
            state=values.get('state', ''),
            reason=values.get('reason', ''),
            command=values.get('command', ''),
            command_stamp_ns=int(values.get('command_stamp_ns', '0') or 0),
            values=values,
        )

    def line(self) -> str:
        """Return the state and what it is about, in one line."""
        about = self.command if self.state in ('running', 'succeeded') else self.reason
        return f'{self.state}: {about.replace("_", " ")}'


UNKNOWN = Status(state='unknown', reason='', command='', command_stamp_ns=0, values={})


class Client:
    """
    One participant beside the graph. Not thread-safe; every wait spins it.

    ``on_spin`` is called between spins, about 20 times a second: whoever also keeps the graph
    running does that there. ``remap`` is that of ``Options``.
    """

    def __init__(
        self,
        namespace: str = '',
        on_spin: Callable[[], None] = lambda: None,
        remap: str = '',
    ) -> None:
        # Refuses in plain words what is no namespace, remap or domain.
        wiring.check_remaps(Options(namespace=namespace, remap=remap).remaps)
        domain_id()
        self._on_spin = on_spin
        self.namespace = '/' + namespace.strip('/')
        self._context = Context()
        # Signals stay Python's: Ctrl-C raises KeyboardInterrupt wherever the user waits.
        rclpy.init(
            args=['--ros-args', '--enclave', ENCLAVE],
            context=self._context,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._node = Node(
            f'client_{os.getpid()}',
            namespace=self.namespace,
            context=self._context,
            cli_args=['--ros-args', *(part for rule in remap.split() for part in ('-r', rule))],
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
            # A service by the name of each process would need a key of its own (Jazzy and later).
            parameter_overrides=[Parameter('start_type_description_service', value=False)],
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._commands = wiring.COMMAND.publisher(self._node)
        wiring.STATUS.subscription(self._node, self._on_status)
        wiring.SIM_STATE.subscription(self._node, self._on_sim_state)
        #: The last status; UNKNOWN before the first.
        self.status = UNKNOWN
        #: The sim's last ground truth, None without a sim.
        self.sim_state: dict[str, Any] | None = None
        #: Messages of each so far.
        self.status_count = self.sim_state_count = 0

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status = Status.from_message(message)
        self.status_count += 1

    def _on_sim_state(self, message: String) -> None:
        self.sim_state = json.loads(message.data)
        self.sim_state_count += 1

    def watch(
        self, topic: wiring.Topic, on_message: Callable[[Any], None], raw: bool = False
    ) -> None:
        """Hand every message of ``topic``, if ``raw`` as its bytes, over while waiting."""
        topic.subscription(self._node, on_message, raw=raw)

    def wait(self, until: Callable[[], Any], timeout_s: float) -> bool:
        """Spin until ``until`` returns something true; return False after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > deadline:
                return False
            # An interrupt while rclpy makes a message would come out as its RuntimeError.
            with signals_deferred():
                self._executor.spin_once(timeout_sec=0.05)
            self._on_spin()
        return True

    def wait_status(self, timeout_s: float = 5.0) -> Status:
        """Return the first status; raises ConfigurationError if there is no graph."""
        if not self.wait(lambda: self.status is not UNKNOWN, timeout_s):
            domain = os.environ.get('ROS_DOMAIN_ID') or '0'
            raise ConfigurationError(
                f'no running graph found on ROS domain {domain}, namespace {self.namespace}: '
                'start one with "vla-ros up sim", or give its ROS_DOMAIN_ID and --namespace'
            )
        return self.status

    def wait_graph(self, timeout_s: float = 60.0) -> Status:
        """Wait until commands are heard; raises ConfigurationError if that does not happen."""
        status = self.wait_status()
        if not self.wait(self._commands_are_heard, timeout_s):
            deaf = ' and '.join(self._missing_listeners()) or 'command'
            raise ConfigurationError(
                f'the {deaf} node does not listen on {self._commands.topic_name}: its log tells '
                'why (the terminal of "vla-ros up")'
            )
        return status

    def _commands_are_heard(self) -> bool:
        # By name, for others listen too; and a name may be known before messages go there.
        is_matched = self._commands.get_subscription_count() >= len(_LISTENERS)
        return is_matched and not self._missing_listeners()

    def _missing_listeners(self) -> list[str]:
        found = self._node.get_subscriptions_info_by_topic(self._commands.topic_name)
        names = {info.node_name for info in found}
        return [name for name in _LISTENERS if name not in names]

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until a command would be obeyed; else TimeoutError, which says what is missing."""
        chunks = self._node.resolve_topic_name(wiring.ACTION_CHUNK.name)
        with self._heard(wiring.IMAGE, wiring.ROBOT_POSE, wiring.GRIPPER_STATE) as heard:
            signs: dict[str, Callable[[], Any]] = {
                'pose node': lambda: self.status is not UNKNOWN,
                'text encoder': self._commands_are_heard,
                # The inference node creates this publisher when its policy is loaded and warm.
                'policy': lambda: self._node.count_publishers(chunks),
                'camera frame': lambda: wiring.IMAGE.name in heard,
                wiring.ROBOT_POSE.name: lambda: wiring.ROBOT_POSE.name in heard,
                wiring.GRIPPER_STATE.name: lambda: wiring.GRIPPER_STATE.name in heard,
            }
            if self.wait(lambda: all(sign() for sign in signs.values()), timeout_s):
                return
            missing = [what for what, sign in signs.items() if not sign()]
        raise TimeoutError(f'after {timeout_s:.0f} s there is still no {", ".join(missing)}')

    @contextmanager
    def _heard(self, *topics: wiring.Topic) -> Iterator[set[str]]:
        """Listen for a while; what it gives are the names of the topics heard so far."""
        heard: set[str] = set()

        def listen(topic: wiring.Topic) -> Subscription | Inbox:
            return topic.subscription(self._node, lambda _: heard.add(topic.name))

        subscriptions = [listen(topic) for topic in topics]
        try:
            yield heard
        finally:
            for subscription in subscriptions:
                wiring.unsubscribe(self._node, subscription)

    def publish(self, text: str) -> None:
        """Publish a command and wait for nothing; enough for those that stay."""
        self._commands.publish(String(data=text))

    def say(self, text: str) -> None:
        """Publish a command once; who listens has it by then, unless that takes seconds."""
        self.publish(text)
        # Reliable delivery is told by the writer's acknowledgements where the middleware has them;
        # they may take seconds, in which the robot is already on its way.
        at_once = rclpy.duration.Duration(nanoseconds=0)
        self.wait(lambda: self._commands.wait_for_all_acked(at_once), ACKNOWLEDGE_S)

    def stop(self, timeout_s: float) -> bool:
        """
        Say stop until the pose node says that the robot holds; no other node need live.

        Returns whether it did; raises ConfigurationError if there is no graph.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.publish('stop')
            if self.wait(lambda: self.status.reason in ('stopped', 'estop'), timeout_s=0.1):
                return True
        self.wait_status(timeout_s=0.1)
        return False

    def new_scene(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """
        Reset the simulator; return the ground truth of its new scene.

        Raises TimeoutError if it tells none, ConfigurationError if there is no simulator.
        """
        before = self.sim_state and self.sim_state['seed']
        self.call(wiring.SIM_RESET)
        # Its seed is another after each reset; what is still on its way tells the old one.
        if self.wait(lambda: self.sim_state and self.sim_state['seed'] != before, timeout_s):
            assert self.sim_state is not None
            return self.sim_state
        raise TimeoutError(f'the simulator has told no new scene for {timeout_s:.0f} s')

    def service(self, service: wiring.ServiceName) -> Any:
        """Return an rclpy client of a node's service, which lasts as long as this one."""
        name = service.name.replace('~', f'{self.namespace.rstrip("/")}/{service.server}')
        return self._node.create_client(service.type, name)

    def call(
        self, service: wiring.ServiceName, request: Any = None, timeout_s: float = 10.0
    ) -> Any:
        """
        Return the response of a node's service.

        Raises ConfigurationError if no node has it, or if it does not answer within ``timeout_s``.
        """
        kind: Any = service.type
        client = self.service(service)
        try:
            if not self.wait(client.service_is_ready, timeout_s):
                raise ConfigurationError(
                    f'nobody offers {client.srv_name}: is the {service.server} node up?'
                )
            future = client.call_async(kind.Request() if request is None else request)
            if not self.wait(future.done, timeout_s):
                raise ConfigurationError(
                    f'{client.srv_name} has not answered for {timeout_s:.0f} s: '
                    f'does the {service.server} node hang?'
                )
            return future.result()
        finally:
            self._node.destroy_client(client)


@contextmanager
def client(
    namespace: str = '', on_spin: Callable[[], None] = lambda: None, remap: str = ''
) -> Iterator[Client]:
    """Open a Client for a while."""
    opened = Client(namespace, on_spin, remap)
    try:
        yield opened
    finally:
        opened.close()
