"""
Rollouts of a policy in the simulator through the pipeline's own player and gate.

The policy gets the fitted picture, the encoded words and its own pose: nothing else. Whether it
succeeded is judged on the simulator's ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
import multiprocessing
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import torch

from vla_ros.evaluation.closed_loop import ClosedLoop, measured_state
from vla_ros.evaluation.statistics import Rate
from vla_ros.interfaces import (
    EncodedCommand,
    Observation,
    Policy,
    PolicyResult,
    TERMINATION_CHANNEL,
    TextEncoder,
)
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import sample_scene
from vla_ros.sim.tasks import KINDS, possible_tasks, succeeded, Task, TIME_LIMIT_S
from vla_ros.training.grammar import sentence

IMAGE_SIZE_PX = 96
#: As in the pose node: so many chunks in a row that say so end the task.
DONE_COUNT = 3
DONE_THRESHOLD = 0.5
#: After success the policy has so long to say that it is done.
_GRACE_S = 1.0

#: Sentence patterns and words of each evaluation split, as splits of the grammar.
SPLITS = {
    'known': ('train', 'train'),
    'patterns': ('test', 'train'),
    'words': ('train', 'test'),
    'both': ('test', 'test'),
}


@dataclass(frozen=True)
class Episode:
    """
    How one rollout ended.

    ``success`` on ground truth before the policy said it was done, ``seconds`` and ``path_m``
    until then; ``stopped``: it said so, within a second of success.
    """

    task: Task
    text: str
    seed: int
    success: bool
    stopped: bool
    seconds: float
    path_m: float


#: Called with every picture (h, w, 3) and what the policy made of it.
FrameCallback = Callable[[NDArray[np.uint8], PolicyResult], None]


def rollout(
    env: TabletopEnv,
    policy: Policy,
    encoder: TextEncoder,
    task: Task,
    text: str,
    latency_s: float = 0.06,
    seed: int = 0,
    on_frame: FrameCallback | None = None,
) -> Episode:
    """
    Let ``policy`` obey ``text`` in the scene that ``env`` was reset to; judge it by ``task``.

    ``latency_s`` lies between an image and its chunk. ``seed`` only goes into the result.
    """
    command = EncodedCommand(text, 1, encoder.encode(text))
    loop = ClosedLoop(env, latency_s)
    policy.reset()
    says_done, success_s, path_m = 0, None, 0.0
    while True:
        image = env.render()
        observation = Observation(
            stamp_ns=loop.stamp_ns,
            images=fit(image, IMAGE_SIZE_PX, IMAGE_SIZE_PX)[None],
            state=measured_state(env),
            command=command,
        )
        result = policy.infer(observation)
        if on_frame is not None:
            on_frame(image, result)
        done = result.chunk.column(TERMINATION_CHANNEL)[0] > DONE_THRESHOLD
        says_done = says_done + 1 if done else 0
        if success_s is None and succeeded(env, task):
            success_s, path_m = env.time_s, loop.path_m
        stopped = says_done >= DONE_COUNT
        limit_s = TIME_LIMIT_S[task.kind] if success_s is None else success_s + _GRACE_S
        if stopped or env.time_s > limit_s:
            return Episode(
                task=task,
                text=text,
                seed=seed,
                success=success_s is not None,
                stopped=stopped,
                seconds=env.time_s if success_s is None else success_s,
                path_m=loop.path_m if success_s is None else path_m,
            )
        loop.advance(result.chunk)


@dataclass(frozen=True)
class EpisodeSpec:
    """Which scene, task and words: all of it follows from these."""

    kind: str
    seed: int
    split: str = 'known'

    def build(self, env: TabletopEnv) -> tuple[Task, str]:
        """Reset ``env`` to the scene; return the task, not yet fulfilled there, and the text."""
        rng = np.random.default_rng((self.seed, KINDS.index(self.kind)))
        while True:
            env.reset(scene=sample_scene(rng))
            tasks = [t for t in possible_tasks(env.scene, (self.kind,)) if not succeeded(env, t)]
            if tasks:
                break
        task = tasks[int(rng.integers(len(tasks)))]
        patterns, words = SPLITS[self.split]
        return task, sentence(task, rng, patterns, words)


def evaluate(
    policy_path: Path,
    specs: Sequence[EpisodeSpec],
    latency_s: float = 0.06,
    workers: int | None = None,
) -> list[Episode]:
    """Run every spec, over all cores; the result does not depend on how many there are."""
    context = multiprocessing.get_context('spawn')  # fork does not go with threads of torch
    with ProcessPoolExecutor(
        workers or os.cpu_count(), context, _Worker.start, (policy_path, latency_s)
    ) as pool:
        return list(pool.map(_Worker.run, specs, chunksize=5))


class _Worker:
    """What each process loads once."""

    policy: Policy
    encoder: TextEncoder
    env: TabletopEnv
    latency_s: float

    @classmethod
    def start(cls, policy_path: Path, latency_s: float) -> None:
        torch.set_num_threads(1)
        cls.policy, cls.encoder = load_policy(policy_path), load_text_encoder()
        cls.env, cls.latency_s = TabletopEnv(), latency_s

    @classmethod
    def run(cls, spec: EpisodeSpec) -> Episode:
        task, text = spec.build(cls.env)
        return rollout(cls.env, cls.policy, cls.encoder, task, text, cls.latency_s, spec.seed)


def success_rates(episodes: Sequence[Episode]) -> dict[str, Rate]:
    """Return the success rate of each kind of task, and of all."""
    rates = {}
    for name in (*KINDS, 'all'):
        chosen = [e.success for e in episodes if name in (e.task.kind, 'all')]
        if chosen:
            rates[name] = Rate.of(sum(chosen), len(chosen))
    return rates


def outcome_lines(episodes: Sequence[Episode]) -> list[str]:
    """Return one line an episode that failed, with what a reader needs to see it again."""
    return [
        f'failed: {episode.task.key} seed {episode.seed} after {episode.seconds:.1f} s: '
        f'{episode.text!r}'
        for episode in episodes
        if not episode.success
    ]
