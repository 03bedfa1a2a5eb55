"""
Rollouts of a policy in the simulator, through the controller that runs on a robot.

The policy gets the fitted picture, the encoded words and its own pose: nothing else. Whether it
succeeded is judged on the simulator's ground truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
import multiprocessing
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_ros.evaluation.closed_loop import ClosedLoop, LATENCY_S, measured_state
from vla_ros.evaluation.disturbances import Disturb, DISTURBANCES, Picture, State, undisturbed
from vla_ros.evaluation.episodes import Episode
from vla_ros.evaluation.judging import Judge, RefusalJudge, TaskJudge
from vla_ros.evaluation.masking import without
from vla_ros.evaluation.pictures import Scene, spread
from vla_ros.evaluation.splits import build, Spec, specs, Trial
from vla_ros.evaluation.watching import Gaze, WatchedEnv
from vla_ros.geometry import Array
from vla_ros.interfaces import (
    EncodedCommand,
    Observation,
    Policy,
    PolicyResult,
    REFUSAL_CHANNELS,
    TERMINATION_CHANNEL,
    TextEncoder,
)
from vla_ros.pipeline.attention import cell_weights, overlay
from vla_ros.pipeline.command import CommandError, is_stop, normalise
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.manifest import TextEncoderPin
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.text_encoder import text_encoder_of
from vla_ros.sim.tasks import succeeded, TIME_LIMIT_S

#: The simulated camera's pictures are larger than those of the policy, as on a robot.
_OVERSIZE = 2
_FILM_FRAMES = 6


class Roller:
    """
    Lets a policy do trials.

    ``image_size_px`` (width, height) is what the policy wants; ``latency_s`` lies between an
    image and its chunk.
    """

    def __init__(
        self,
        policy: Policy,
        encoder: TextEncoder,
        image_size_px: tuple[int, int],
        latency_s: float = LATENCY_S,
    ) -> None:
        self._policy = policy
        self._encoder = encoder
        self._width, self._height = image_size_px
        self._latency_s = latency_s
        self.env = WatchedEnv((_OVERSIZE * self._width, _OVERSIZE * self._height))

    @classmethod
    def load(
        cls, policy_path: Path, latency_s: float = LATENCY_S, masked: str | None = None
    ) -> Roller:
        """
        Return one with the policy at ``policy_path`` and its text encoder.

        What is ``masked``, one of ``masking.MODALITIES``, the policy does not get. Raises
        ConfigurationError if there is no such policy, or as ``text_encoder_of``.
        """
        policy = load_policy(policy_path)
        size = policy.manifest.image_width, policy.manifest.image_height
        given = without(policy, masked) if masked else policy
        return cls(given, text_encoder_of(policy_path), size, latency_s)

    def run(self, spec: Spec) -> Episode:
        """Do the trial of ``spec``; a failure comes back with its film."""
        trial = build(spec)
        film: list[tuple[Picture, Array]] = []
        episode = self.roll(spec, trial, film)
        if episode.success:
            return episode
        chosen = [film[i] for i in spread(len(film), _FILM_FRAMES)]
        camera = [image for image, _ in chosen]
        heat = [overlay(image, weights, min_side_px=self._width) for image, weights in chosen]
        at_work = 'not obeyed' if trial.task else 'not refused'
        reason = at_work if episode.reason == Reason.OK.value else episode.reason
        meant = ', '.join(filter(None, trial.task.key.split('|'))) if trial.task else 'to refuse'
        outcome = f'{reason.replace("_", " ")} after {episode.seconds:.1f} s; meant: {meant}'
        caption = f'{spec.split} ({spec.row}): "{trial.text}"'
        return replace(episode, film=Scene(caption, outcome, False, camera, heat))

    def roll(
        self, spec: Spec, trial: Trial, film: list[tuple[Picture, Array]] | None = None
    ) -> Episode:
        """Do ``trial``, and append each picture with the attention on it to ``film``."""
        env, task = self.env, trial.task
        env.reset(scene=trial.scene)
        self._policy.reset()
        loop = ClosedLoop(env, self._latency_s)
        command = self._hear(trial.text, loop)
        disturb: Disturb = undisturbed
        if trial.disturbance:
            disturb = DISTURBANCES[trial.disturbance](np.random.default_rng(spec.seed))
        judge: Judge = TaskJudge(TIME_LIMIT_S[task.kind]) if task else RefusalJudge()
        gaze = Gaze(env, task) if task else None
        done: list[tuple[float, bool]] = []
        is_over = False
        while not is_over:
            frame = env.frame()
            seen = disturb(env.time_s, frame.rgb, measured_state(env))
            chunk, weights = None, np.ones((1, 1))
            if command is not None and seen is not None:
                result = self._infer(*seen, command, loop.stamp_ns)
                chunk, weights = result.chunk, cell_weights(result.attention)
                if task is not None:
                    told = float(chunk.column(TERMINATION_CHANNEL)[0])
                    done.append((told, succeeded(env, task)))
                if gaze is not None:
                    gaze.observe(frame, result.attention)
            if film is not None and seen is not None:
                film.append((seen[0], weights))
            loop.advance(chunk)
            holds = task is not None and succeeded(env, task)
            is_over = judge.observe(env.time_s, holds, loop.state, loop.reason, loop.path_m)
        return Episode(
            spec=spec,
            text=trial.text,
            task=task.key if task else '',
            success=judge.success,
            stopped=judge.stopped,
            false_stop=judge.false_stop,
            seconds=judge.seconds,
            path_m=judge.path_m,
            reason=loop.reason.value,
            frames=gaze.frames if gaze else 0,
            on_object=gaze.on_object if gaze else 0,
            done=tuple(done),
            motion=env.motion,
        )

    def refusal(self, trial: Trial) -> float:
        """Return how surely the policy refuses ``trial`` when it first looks, 0 .. 1."""
        self._policy.reset()
        try:
            look = self.first_look(trial)
        except CommandError:
            return 1.0  # the command node does
        chunk = self._policy.infer(look).chunk
        return float(sum(chunk.column(channel)[0] for channel in REFUSAL_CHANNELS))

    def first_look(self, trial: Trial) -> Observation:
        """Return what the policy is given first; raises CommandError as the text encoder."""
        self.env.reset(scene=trial.scene)
        text = normalise(trial.text)
        command = EncodedCommand(text, 1, self._encoder.encode(text))
        return self._seen(self.env.render(), measured_state(self.env), command, stamp_ns=0)

    def _infer(
        self, image: Picture, state: State, command: EncodedCommand, stamp_ns: int
    ) -> PolicyResult:
        return self._policy.infer(self._seen(image, state, command, stamp_ns))

    def _seen(
        self, image: Picture, state: State, command: EncodedCommand, stamp_ns: int
    ) -> Observation:
        fitted = fit(image, self._width, self._height)
        return Observation(stamp_ns, fitted[None], state, command)

    def _hear(self, text: str, loop: ClosedLoop) -> EncodedCommand | None:
        """Give a command as the command node does; None if it is a stop, or refused there."""
        try:
            line = '' if is_stop(text) else normalise(text)
            tokens = self._encoder.encode(line)
        except CommandError:
            return None
        return EncodedCommand(line, loop.instruct(line), tokens) if line else None


def first_looks(policy_path: Path, scenes_per_task: int = 4) -> tuple[Tensor, ...]:
    """
    Return what the network of a policy is given first in new scenes, one row each.

    A row has no noise in it that would be at the edge of a decision. Raises as ``Roller.load``.
    """
    policy = load_policy(policy_path)
    roller = Roller.load(policy_path)
    trials = map(build, specs('known', scenes_per_task, seed=0))
    rows = [policy.inputs(roller.first_look(trial)) for trial in trials]
    return tuple(torch.cat(values) for values in zip(*rows, strict=True))


def read_by(policy_path: Path) -> str:
    """Return what a report keeps of the text encoder; raises as ``text_encoder_of``."""
    encoder = text_encoder_of(policy_path)
    return TextEncoderPin(encoder.id, encoder.sha256, encoder.width, encoder.max_tokens).short


def evaluate(
    policy_path: Path,
    specs: Iterable[Spec],
    latency_s: float = LATENCY_S,
    workers: int | None = None,
    masked: str | None = None,
) -> Iterator[Episode]:
    """
    Do every trial, in order, over all cores; the result does not depend on their number.

    ``masked`` is as in ``Roller.load``.
    """
    context = multiprocessing.get_context('spawn')  # fork does not go with threads of torch
    with ProcessPoolExecutor(
        workers or os.cpu_count(), context, _Worker.start, (policy_path, latency_s, masked)
    ) as pool:
        yield from pool.map(_Worker.run, specs, chunksize=2)


class _Worker:
    """What each process loads once."""

    roller: Roller

    @classmethod
    def start(cls, policy_path: Path, latency_s: float, masked: str | None) -> None:
        torch.set_num_threads(1)
        cls.roller = Roller.load(policy_path, latency_s, masked)

    @classmethod
    def run(cls, spec: Spec) -> Episode:
        return cls.roller.run(spec)
