"""Corrections: the policy drives, and the expert says what it should have done (DAgger)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_ros.evaluation.closed_loop import measured_state
from vla_ros.interfaces import ActionChunk, EncodedCommand, Observation
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.tasks import Task
from vla_ros.training.demonstrations import DemonstrationConfig, ExpertActor
from vla_ros.training.grammar import sentence

#: The expert takes over for a while, so that a stuck policy gets to see the rest of the task.
_EXPERT_SHARE = 0.2
_TURN_S = 2.0


class PolicyActor:
    """An exported policy that is told tasks in training sentences, relieved by the expert."""

    def __init__(
        self, policy_path: Path, config: DemonstrationConfig, rng: np.random.Generator
    ) -> None:
        self._policy = load_policy(policy_path)
        self._encoder = load_text_encoder()
        self._expert = ExpertActor(config, rng)
        self._size = config.image_size
        self._rng = rng
        self._task: Task | None = None
        self._until_s = 0.0
        self._relieved = False

    def chunk(self, env: TabletopEnv, task: Task, stamp_ns: int) -> ActionChunk:
        """Return what the policy, or now and then the expert, wants to do."""
        if not 0.0 <= self._until_s - env.time_s <= _TURN_S:
            self._until_s = env.time_s + _TURN_S
            self._relieved = bool(self._rng.random() < _EXPERT_SHARE)
        if self._task != task:
            self._task = task
            text = sentence(task, self._rng)
            self._command = EncodedCommand(text, 0, self._encoder.encode_all([text])[0])
        if self._relieved:
            return self._expert.chunk(env, task, stamp_ns)
        observation = Observation(
            stamp_ns=stamp_ns,
            images=fit(env.render(), self._size, self._size)[None],
            state=measured_state(env),
            command=self._command,
        )
        return self._policy.infer(observation).chunk
