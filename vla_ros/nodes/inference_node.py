"""
The policy: newest frame, command and own pose to a chunk of actions. A managed node.

Subscribes: vla/image, vla/command_embedding, robot_pose, gripper_state
Publishes: vla/action_chunk, vla/attention, vla/saliency (all with the image's stamp), diagnostics

It infers only while there is a command, in one thread of its own, and always on the newest frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import sys
import time
import traceback
from typing import Any, TYPE_CHECKING

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Header

from vla_ros.errors import ConfigurationError
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
from vla_ros.nodes.diagnostics import Durations, ERROR, Health, OK, report_health, Stream, WARN
from vla_ros.nodes.lifecycle import ManagedNode
from vla_ros.nodes.params import declare, InferenceParams
from vla_ros.nodes.runner import run
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.command import printable
from vla_ros.pipeline.image import decode_rgb, RawImage
from vla_ros.pipeline.mailbox import Worker
from vla_ros.pipeline.manifest import PolicyManifest
from vla_ros.pipeline.proprioception import Proprioception

if TYPE_CHECKING:
    from vla_ros.pipeline.policy import TorchPolicy

#: What each of ``REFUSALS`` means.
_DOUBTS = (
    'this is no task that the policy knows',
    'it is not clear which object or place is meant',
    'the object or place meant is not in the picture',
)


@dataclass(frozen=True, eq=False)
class Job:
    header: Header
    observation: Observation


class InferenceNode(ManagedNode):
    def __init__(self, **options: Any) -> None:
        super().__init__('inference', **options)
        self._params = declare(self, InferenceParams)
        self._policy: TorchPolicy | None = None
        self._manifest: PolicyManifest | None = None
        self._worker: Worker[Job] | None = None
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._forget()
        self._problem = ''
        self._errors = 0
        self._frames, self._chunks = Stream(), Stream()
        self._latency, self._inference = Durations(), Durations()
        report_health(self, self._health)
        if self._params.autostart:
            self.autostart()

    def configure(self) -> None:
        # Imports torch, which takes seconds: not before the node answers signals.
        from vla_ros.pipeline.policy import load_policy

        path = self.get_parameter('policy_path').value or shipped_policy_path()
        policy = load_policy(path, self._params.num_threads)
        if len(policy.manifest.cameras) != 1:
            raise ConfigurationError(
                f'{path}: the policy wants {len(policy.manifest.cameras)} cameras, this node has '
                'one; choose another policy_path'
            )
        self._policy, self._manifest = policy, policy.manifest
        self.get_logger().info(f'policy {policy.manifest.name} ({policy.manifest.sha256[:12]})')

    def activate(self) -> None:
        self._forget()
        self._chunk = wiring.ACTION_CHUNK.publisher(self)
        self._attention = wiring.ATTENTION.publisher(self)
        self._saliency = wiring.SALIENCY.publisher(self)
        self._outputs = [self._chunk, self._attention, self._saliency]
        self._worker = Worker(self._infer, self._infer_failed, 'inference')
        self._inputs = [
            wiring.COMMAND_EMBEDDING.subscription(self, self._on_command),
            wiring.ROBOT_POSE.subscription(self, self._on_pose),
            wiring.GRIPPER_STATE.subscription(self, self._on_gripper),
            wiring.IMAGE.subscription(self, self._on_image),
        ]

    def deactivate(self) -> None:
        for subscription in self._inputs:
            wiring.unsubscribe(self, subscription)
        if self._worker is not None and not self._worker.stop(timeout_s=1.0):
            self.get_logger().error('the policy does not return; restart this node')
        for publisher in self._outputs:
            self.destroy_publisher(publisher)
        self._inputs, self._outputs, self._worker = [], [], None

    def cleanup(self) -> None:
        self._policy = self._manifest = None

    def _forget(self) -> None:
        self._command: EncodedCommand | None = None
        self._robot = Proprioception(self._params.state_timeout_s)
        self._episode_ns = self._doubted_ns = self._understood_ns = 0

    def _on_command(self, message: Image) -> None:
        try:
            self._command = command_from_message(message)
        except ValueError as error:
            self._command = None
            self.get_logger().warning(f'{wiring.COMMAND_EMBEDDING.name}: {error}')

    def _on_pose(self, message: PoseStamped) -> None:
        stamp_ns = to_ns(message.header.stamp)
        self._robot.add_pose(stamp_ns, pose_from_message(message), time.monotonic())

    def _on_gripper(self, message: Float32) -> None:
        self._robot.set_gripper(message.data, time.monotonic())

    def _on_image(self, message: Image) -> None:
        self._frames.tick()
        if self._command is None or self._command.is_empty:
            self._problem = ''
            return
        try:
            job = self._job(message, self._command)
        except ValueError as error:
            self._warn(str(error))
            return
        self._worker.mailbox.put(job)

    def _job(self, message: Image, command: EncodedCommand) -> Job:
        """Return what to infer on; raises ValueError saying what is missing or unreadable."""
        if (missing := self._missing()) is not None:
            name = self.resolve_topic_name(missing)
            raise ValueError(f'no fresh {name}: no inference without it')
        # The frame is here already, and the header may not claim more than that.
        image = decode_rgb(RawImage.of(message), max_bytes=sys.maxsize)
        stamp_ns = to_ns(message.header.stamp)
        state = self._robot.at(stamp_ns, self._manifest.state_names)
        observation = Observation(stamp_ns, image[None], state, command)
        return Job(message.header, observation)

    def _missing(self) -> str | None:
        now_s = time.monotonic()
        if not self._robot.has_pose(now_s):
            return wiring.ROBOT_POSE.name
        return None if self._robot.has_gripper(now_s) else wiring.GRIPPER_STATE.name

    def _infer(self, job: Job) -> None:
        """Run in the worker's thread."""
        observation = job.observation
        if observation.command.stamp_ns != self._episode_ns:
            self._episode_ns = observation.command.stamp_ns
            self._policy.reset()
        started_s = time.monotonic()
        result = self._policy.infer(observation)
        self._inference.add(time.monotonic() - started_s)
        if self._command is not observation.command:  # replaced meanwhile
            return
        self._chunk.publish(chunk_to_message(result.chunk))
        self._attention.publish(attention_to_message(result.attention, job.header))
        self._chunks.tick()
        self._problem = self._doubt(result, observation.command)
        age_ns = self.get_clock().now().nanoseconds - observation.stamp_ns
        self._latency.add(age_ns * 1e-9)
        if self._saliency.get_subscription_count() > 0:  # it takes longer than the inference
            self._publish_saliency(job)

    def _publish_saliency(self, job: Job) -> None:
        from vla_ros.pipeline.saliency import gradient_saliency

        planes = gradient_saliency(self._policy, job.observation)
        self._saliency.publish(attention_to_message(planes, job.header))

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
            self.get_logger().warning(f'{problem}; nothing moves')
        return problem

    def _infer_failed(self, error: Exception) -> None:
        if not self.context.ok():  # ended in the middle of publishing
            return
        self._errors += 1
        if isinstance(error, ConfigurationError):
            self._warn(str(error))
        else:
            self._warn('inference failed:\n' + ''.join(traceback.format_exception(error)))

    def _warn(self, problem: str) -> None:
        self._problem = problem
        self.get_logger().warning(problem, throttle_duration_sec=2.0)

    def _health(self) -> Health:
        worker, manifest = self._worker, self._manifest
        values = {
            'policy': manifest.name if manifest else '',
            'policy_sha256': manifest.sha256 if manifest else '',
            'frames_hz': self._frames.rate_hz(),
            'chunks_hz': self._chunks.rate_hz(),
            'dropped_frames': worker.mailbox.dropped if worker else 0,
            'errors': self._errors,
            **self._latency.values('latency'),
            **self._inference.values('inference'),
        }
        if worker is not None and worker.busy_s() > self._params.inference_timeout_s:
            raise TimeoutError(f'the policy has not returned for {worker.busy_s():.0f} s')
        if worker is None:
            return Health(ERROR, 'not active: no policy runs', values)
        if self._frames.age_s() > self._params.state_timeout_s:
            name = self.resolve_topic_name(wiring.IMAGE.name)
            return Health(ERROR, f'no frame on {name}: is the camera node running?', values)
        return Health(WARN if self._problem else OK, self._problem or 'ok', values)


def main(args: Sequence[str] | None = None) -> int:
    return run(InferenceNode, args)


if __name__ == '__main__':
    sys.exit(main())
