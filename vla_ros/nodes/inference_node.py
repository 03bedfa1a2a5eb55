"""
The policy: newest frame, command and own pose to a chunk of actions. A managed node.

Subscribes: vla/image, vla/command_embedding, robot_pose, gripper_state, vla/status
Publishes: vla/action_chunk, vla/attention, vla/saliency (all with the image's stamp), /diagnostics

It infers only while there is a command whose task has not ended, in one thread of its own, and
always on the newest frame.
With several ``robots`` it does all of this for each in its namespace; those that wait go through
the policy together.
"""

from __future__ import annotations

from collections.abc import Sequence
import sys
import time
import traceback
from typing import Any, TYPE_CHECKING

from vla_ros.errors import ConfigurationError
from vla_ros.names import is_name
from vla_ros.nodes.conversions import attention_to_message
from vla_ros.nodes.diagnostics import Durations, ERROR, Health, OK, report_health, WARN
from vla_ros.nodes.lifecycle import ManagedNode
from vla_ros.nodes.params import declare, InferenceParams
from vla_ros.nodes.robot_port import Job, RobotPort
from vla_ros.nodes.runner import run
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.batching import infer_each
from vla_ros.pipeline.mailbox import Worker
from vla_ros.pipeline.manifest import PolicyManifest

if TYPE_CHECKING:
    from vla_ros.pipeline.policy import TorchPolicy


class InferenceNode(ManagedNode):
    def __init__(self, **options: Any) -> None:
        super().__init__('inference', **options)
        self._params = declare(self, InferenceParams)
        names = _checked(self._params.robots)
        self._ports = [RobotPort(self, name, self._params) for name in names]
        self._policy: TorchPolicy | None = None
        self._manifest: PolicyManifest | None = None
        self._worker: Worker[Job] | None = None
        self._inference = Durations()
        self._passes = self._inferred = 0
        report_health(self, self._health)
        if self._params.autostart:
            self.autostart()

    def configure(self) -> None:
        # Imports torch, which takes seconds: not before the node answers signals.
        from vla_ros.pipeline.policy import load_policy

        path = self.get_parameter('policy_path').value or shipped_policy_path()
        robots = min(len(self._ports), self._params.max_batch)
        policy = load_policy(path, self._params.num_threads, robots, self._params.device)
        if len(policy.manifest.cameras) != 1:
            raise ConfigurationError(
                f'{path}: the policy wants {len(policy.manifest.cameras)} cameras, this node has '
                'one; choose another policy_path'
            )
        self._policy, self._manifest = policy, policy.manifest
        self.get_logger().info(
            f'policy {policy.manifest.name} ({policy.manifest.sha256[:12]}) on {policy.device}'
        )

    def activate(self) -> None:
        self._worker = Worker(
            self._infer, self._infer_failed, 'inference', at_most=self._params.max_batch
        )
        assert self._manifest is not None  # it is configured
        for port in self._ports:
            port.open(self._manifest, self._worker.mailbox.put)

    def deactivate(self) -> None:
        for port in self._ports:
            port.close_inputs()
        if self._worker is not None and not self._worker.stop(timeout_s=1.0):
            self.get_logger().error('the policy does not return; restart this node')
        for port in self._ports:
            port.close_outputs()
        self._worker = None

    def cleanup(self) -> None:
        self._policy = self._manifest = None

    def _infer(self, jobs: list[Job]) -> None:
        """Run in the worker's thread."""
        assert self._policy is not None  # as long as the worker is there
        has_begun = [job.port.begins(job) for job in jobs]
        if any(has_begun):
            self._policy.reset()
        started_s = time.monotonic()
        results = infer_each(self._policy, [job.observation for job in jobs])
        self._inference.add(time.monotonic() - started_s)
        self._passes += 1
        self._inferred += len(jobs)
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                job.port.fail(_told(result))
            elif job.port.publish(job, result):
                self._show_saliency(job)

    def _show_saliency(self, job: Job) -> None:
        if job.port.saliency.get_subscription_count() == 0:  # it takes longer than the inference
            return
        from vla_ros.pipeline.saliency import gradient_saliency

        assert self._policy is not None
        try:
            planes = gradient_saliency(self._policy, job.observation)
        except ConfigurationError as error:
            job.port.warn(str(error))
            return
        job.port.saliency.publish(attention_to_message(planes, job.header))

    def _infer_failed(self, error: Exception) -> None:
        if self.context.ok():  # else it ended in the middle of publishing
            for port in self._ports:
                port.fail(_told(error))

    def _health(self) -> Health:
        worker, manifest = self._worker, self._manifest
        values: dict[str, object] = {
            'policy': manifest.name if manifest else '',
            'policy_sha256': manifest.sha256 if manifest else '',
            'backend': manifest.backend if manifest else '',
            'device': self._policy.device if self._policy else '',
            'robots_a_pass': self._inferred / self._passes if self._passes else 0.0,
            **self._inference.values('inference'),
        }
        for port in self._ports:
            dropped = worker.mailbox.dropped[port.namespace] if worker else 0
            prefix = f'{port.namespace}.' if port.namespace else ''
            values.update({prefix + k: v for k, v in port.values(dropped).items()})
        if worker is not None and worker.busy_s() > self._params.inference_timeout_s:
            raise TimeoutError(f'the policy has not returned for {worker.busy_s():.0f} s')
        if worker is None:
            return Health(ERROR, 'not active: no policy runs', values)
        if silent := '; '.join(filter(None, (port.silence() for port in self._ports))):
            return Health(ERROR, silent, values)
        problem = '; '.join(filter(None, (port.problem for port in self._ports)))
        return Health(WARN if problem else OK, problem or 'ok', values)


def _checked(names: Sequence[str]) -> Sequence[str]:
    """Return the namespaces if each can be one and none stands twice."""
    for name in names:
        if name and (name.startswith('/') or not is_name(name)):
            raise ConfigurationError(
                f'robots: got {name!r}, expected names of ASCII letters, digits and _ that start '
                'with no digit, joined by /, as in "arm1" or "lab/arm1"'
            )
    if len(set(names)) < len(names) or not names:
        raise ConfigurationError(
            f'robots: got {", ".join(names)}; name each once, and one or more'
        )
    return names


def _told(error: Exception) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    return 'inference failed:\n' + ''.join(traceback.format_exception(error))


def main(args: Sequence[str] | None = None) -> int:
    return run(InferenceNode, args)


if __name__ == '__main__':
    sys.exit(main())
