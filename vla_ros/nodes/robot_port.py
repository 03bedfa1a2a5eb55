"""One robot's side of the inference node: what it sees and is told, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import re
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Header

from vla_ros.interfaces import (
    EncodedCommand,
    Observation,
    PolicyResult,
    REFUSAL_CHANNELS,
    REFUSAL_THRESHOLD,
    REFUSALS,
)
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_to_message,
    chunk_to_message,
    command_from_message,
    pose_from_message,
    to_ns,
)
from vla_ros.nodes.diagnostics import Durations, Stream
from vla_ros.nodes.params import InferenceParams
from vla_ros.nodes.wiring import Topic
from vla_ros.pipeline.command import printable
from vla_ros.pipeline.image import decode_rgb, RawImage
from vla_ros.pipeline.manifest import PolicyManifest
from vla_ros.pipeline.proprioception import Proprioception
from vla_ros.pipeline.reason import ENDINGS

#: What each of ``REFUSALS`` means.
_DOUBTS = (
    'this is no task that the policy knows',
    'it is not clear which object or place is meant',
    'the object or place meant is not in the picture',
)

#: The same warning is logged again after so long.
WARNING_PERIOD_S = 2.0
_NUMBER = re.compile(r'[\d.]+')


@dataclass(frozen=True, eq=False)
class Job:
    """What to infer on, and for whom."""

    port: RobotPort
    header: Header
    observation: Observation


class RobotPort:
    """
    The topics of the robot in ``namespace``, relative to the node's own; '' is that itself.

    ``problem`` says why there is no chunk, '' while all is well.
    """

    def __init__(self, node: Node, namespace: str, params: InferenceParams) -> None:
        self.namespace = namespace
        self.problem = ''
        self.errors = 0
        self.frames, self.chunks = Stream(), Stream()
        self.saliency: Any = None
        self._node = node
        self._params = params
        self._intervals = Durations()
        self._waits, self._latency = Durations(), Durations()
        self._last_frame_s = 0.0
        self._warned_s: dict[str, float] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._forget()

    def open(self, manifest: PolicyManifest, put: Callable[[Job, str], None]) -> None:
        """Subscribe and publish; every frame that can be inferred on goes to ``put``."""
        self._forget()
        self._manifest, self._put = manifest, put
        self._chunk, self._attention, self.saliency = self._outputs = [
            self.topic(topic).publisher(self._node, is_temporary=True)
            for topic in (wiring.ACTION_CHUNK, wiring.ATTENTION, wiring.SALIENCY)
        ]
        self._inputs = [
            self.topic(topic).subscription(self._node, callback, is_temporary=True)
            for topic, callback in (
                (wiring.COMMAND_EMBEDDING, self._on_command),
                (wiring.ROBOT_POSE, self._on_pose),
                (wiring.GRIPPER_STATE, self._on_gripper),
                (wiring.STATUS, self._on_status),
                (wiring.IMAGE, self._on_image),
            )
        ]

    def close_inputs(self) -> None:
        for subscription in self._inputs:
            wiring.unsubscribe(self._node, subscription)
        self._inputs = []

    def close_outputs(self) -> None:
        for publisher in self._outputs:
            self._node.destroy_publisher(publisher)
        self._outputs = []

    def topic(self, topic: Topic) -> Topic:
        """Return this robot's topic of that kind."""
        return replace(topic, name=f'{self.namespace}/{topic.name}'.lstrip('/'))

    def _forget(self) -> None:
        self.command: EncodedCommand | None = None
        self._robot = Proprioception(self._params.state_timeout_s)
        self._episode_ns = self._doubted_ns = self._understood_ns = 0
        #: The last command whose task has ended, as the pose node writes its stamp.
        self._ended = ''

    def _on_command(self, message: Image) -> None:
        try:
            self.command = command_from_message(message)
        except ValueError as error:
            self.command = None
            name = self.topic(wiring.COMMAND_EMBEDDING).name
            self._node.get_logger().warning(f'{name}: {error}')

    def _on_pose(self, message: PoseStamped) -> None:
        stamp_ns = to_ns(message.header.stamp)
        self._robot.add_pose(stamp_ns, pose_from_message(message), time.monotonic())

    def _on_gripper(self, message: Float32) -> None:
        self._robot.set_gripper(message.data, time.monotonic())

    def _on_status(self, message: DiagnosticStatus) -> None:
        told = {pair.key: pair.value for pair in message.values}
        if told.get('reason') in ENDINGS:
            self._ended = told.get('command_stamp_ns', '')

    def _on_image(self, message: Image) -> None:
        self._count_frame()
        if self.command is None or self.command.is_empty:
            self.problem = ''
            return
        if str(self.command.stamp_ns) == self._ended:  # nobody would play the chunk
            if self._doubted_ns != self.command.stamp_ns:  # else it tells why
                self.problem = ''
            return
        try:
            job = self._job(message, self.command)
        except ValueError as error:
            self.warn(str(error))
            return
        self._put(job, self.namespace)

    def _count_frame(self) -> None:
        now_s = time.monotonic()
        if self.frames.count:
            self._intervals.add(now_s - self._last_frame_s)
        self._last_frame_s = now_s
        self.frames.tick()

    def _job(self, message: Image, command: EncodedCommand) -> Job:
        """Return what to infer on; raises ValueError saying what is missing or unreadable."""
        if (missing := self._missing()) is not None:
            raise ValueError(f'no fresh {self._full_name(missing)}: no inference without it')
        # The frame is here already, and the header may not claim more than that.
        image = decode_rgb(RawImage.of(message), max_bytes=sys.maxsize)
        stamp_ns = to_ns(message.header.stamp)
        state = self._robot.at(stamp_ns, self._manifest.state_names)
        return Job(self, message.header, Observation(stamp_ns, image[None], state, command))

    def _missing(self) -> Topic | None:
        now_s = time.monotonic()
        if not self._robot.has_pose(now_s):
            return wiring.ROBOT_POSE
        return None if self._robot.has_gripper(now_s) else wiring.GRIPPER_STATE

    def _full_name(self, topic: Topic) -> str:
        return self._node.resolve_topic_name(self.topic(topic).name)

    def begins(self, job: Job) -> bool:
        """Note that ``job`` is being worked on; return whether it is the first of its command."""
        self._waits.add(self._age_s(job))
        stamp_ns = job.observation.command.stamp_ns
        is_first, self._episode_ns = stamp_ns != self._episode_ns, stamp_ns
        return is_first

    def publish(self, job: Job, result: PolicyResult) -> bool:
        """Publish what came out, unless the command was replaced meanwhile; return whether."""
        command = job.observation.command
        if self.command is not command:
            return False
        self._chunk.publish(chunk_to_message(result.chunk))
        self._attention.publish(attention_to_message(result.attention, job.header))
        self.chunks.tick()
        self.problem = self._doubt(result, command)
        self._latency.add(self._age_s(job))
        return True

    def _age_s(self, job: Job) -> float:
        now_ns = self._node.get_clock().now().nanoseconds
        return (now_ns - job.observation.stamp_ns) * 1e-9

    def _doubt(self, result: PolicyResult, command: EncodedCommand) -> str:
        """Return why nothing moves, told once a command; '' once the command is understood."""
        refusals = [float(result.chunk.column(channel)[0]) for channel in REFUSAL_CHANNELS]
        if self._understood_ns == command.stamp_ns or sum(refusals) <= REFUSAL_THRESHOLD:
            self._understood_ns = command.stamp_ns
            return ''
        tasks = ', '.join(task for task in self._manifest.tasks if task not in REFUSALS)
        why = _DOUBTS[refusals.index(max(refusals))]
        problem = f'{printable(command.text)!r}: {why}; the policy can {tasks}'
        if self._doubted_ns != command.stamp_ns:
            self._doubted_ns = command.stamp_ns
            self._node.get_logger().warning(f'{problem}; nothing moves')
        return problem

    def fail(self, problem: str) -> None:
        """Tell that an inference for this robot came to nothing."""
        self.errors += 1
        self.warn(problem)

    def warn(self, problem: str) -> None:
        """Tell a problem; in the log only if it has not just been there, but for its numbers."""
        self.problem = problem
        # rclpy's throttle knows no texts, and the other robots' warnings come from here as well.
        now_s, text = time.monotonic(), _NUMBER.sub('', problem)
        warned_s = {t: s for t, s in self._warned_s.items() if now_s - s < WARNING_PERIOD_S}
        # The worker warns too: what it may be looking at is replaced, never changed.
        self._warned_s = {text: now_s, **warned_s}
        if text not in warned_s:
            whose = f'{self.namespace}: ' if self.namespace else ''
            self._node.get_logger().warning(whose + problem)

    def silence(self) -> str:
        """Return what to do about frames that do not come, '' if they do."""
        if self.frames.age_s() <= self._params.state_timeout_s:
            return ''
        return f'no frame on {self._full_name(wiring.IMAGE)}: is the camera node running?'

    def values(self, dropped_frames: int) -> dict[str, object]:
        """
        Return the numbers of its health.

        From the image's stamp until the policy begins with it (``frame_age``), and until its
        chunk is out (``latency``); ``frame_interval`` is between the frames that arrive.
        """
        return {
            'frames_hz': self.frames.rate_hz(),
            'chunks_hz': self.chunks.rate_hz(),
            'dropped_frames': dropped_frames,
            'errors': self.errors,
            **self._intervals.values('frame_interval'),
            **self._waits.values('frame_age'),
            **self._latency.values('latency'),
        }
