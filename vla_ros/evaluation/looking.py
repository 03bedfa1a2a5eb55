"""What a policy looks at when it first sees a scene, and whether that is true of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_ros.evaluation.closed_loop import measured_state
from vla_ros.evaluation.deletion import delete, Deletion
from vla_ros.evaluation.splits import build, Spec, Trial
from vla_ros.evaluation.watching import WatchedEnv
from vla_ros.geometry import Array
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.pipeline.attention import peak
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.look import Look, look_at
from vla_ros.pipeline.placing import place
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.saliency import gradient_saliency
from vla_ros.pipeline.text_encoder import text_encoder_of
from vla_ros.sim.scene import ZONE_RADIUS_M
from vla_ros.sim.tasks import Task

#: The maps that there are of a policy.
SOURCES = ('attention', 'saliency')
#: A peak within this of the middle of an object is on it.
ON_OBJECT_M = 0.015
#: Attention is placed at half the height of the objects.
PLANE_M = 0.02
_OVERSIZE = 2


@dataclass(frozen=True, eq=False)
class Glance:
    """One map of one frame: ``off_m`` lies between its peak and what the command named."""

    look: Look
    off_m: float
    deletion: Deletion


class Onlooker:
    """Shows a policy the first frame of trials; raises as ``Roller.load``."""

    def __init__(self, policy_path: Path) -> None:
        self._policy = load_policy(policy_path)
        self._encoder = text_encoder_of(policy_path)
        manifest = self._policy.manifest
        self._size = manifest.image_width, manifest.image_height
        self.env = WatchedEnv((_OVERSIZE * self._size[0], _OVERSIZE * self._size[1]))

    def observe(self, trial: Trial) -> Observation:
        """Return what the policy sees and is told when ``trial`` begins; raises CommandError."""
        self.env.reset(scene=trial.scene)
        self._policy.reset()
        text = trial.text
        tokens, pieces = self._encoder.encode(text), self._encoder.pieces(text)
        image = fit(self.env.render(), *self._size)
        command = EncodedCommand(text, 1, tokens, pieces)
        return Observation(0, image[None], measured_state(self.env), command)

    def look(self, observation: Observation, source: str, word: str = 'all') -> Look:
        """Return the map of ``source`` for a word, or for all."""
        if source == 'saliency':
            planes = gradient_saliency(self._policy, observation)
        else:
            planes = self._policy.infer(observation).attention
        return look_at(planes, observation.command.pieces, word)

    def glance(self, trial: Trial, source: str, rng: np.random.Generator) -> Glance:
        """Return the map of ``source`` for the first frame of ``trial``, tested."""
        observation = self.observe(trial)
        look = self.look(observation, source)
        assert trial.task is not None
        return Glance(
            look,
            self._off_m(look.weights, trial.task),
            delete(self._policy, observation, look.weights, rng),
        )

    def _off_m(self, weights: Array, task: Task) -> float:
        """Return how far the peak is from the object, or from the zone if the task names one."""
        shape = weights.shape[0], weights.shape[1]
        camera = self.env.camera.resized(*self._size)
        row, column = peak(weights)
        at = place([row], [column], shape, camera, PLANE_M)[0]
        off_m = float(np.linalg.norm(at - self.env.object_position(task.object)))
        if task.zone is None:
            return off_m
        zone = self.env.scene.zone(task.zone)
        ground = place([row], [column], shape, camera, 0.0)[0]
        from_zone_m = float(np.hypot(ground[0] - zone.x, ground[1] - zone.y)) - ZONE_RADIUS_M
        return min(off_m, max(from_zone_m, 0.0))


@dataclass(frozen=True)
class Verdict:
    """What ``frames`` glances came to; lengths are means."""

    source: str
    frames: int
    on_named: int
    diffuse: int
    spread: float
    attended_m: float
    elsewhere_m: float
    attended_more: int

    @classmethod
    def of(cls, source: str, glances: Iterable[Glance]) -> Verdict:
        seen = list(glances)
        return cls(
            source,
            len(seen),
            sum(g.off_m <= ON_OBJECT_M for g in seen),
            sum(g.look.is_diffuse for g in seen),
            float(np.mean([g.look.spread for g in seen])),
            float(np.mean([g.deletion.attended_m for g in seen])),
            float(np.mean([g.deletion.elsewhere_m for g in seen])),
            sum(g.deletion.attended_m > g.deletion.elsewhere_m for g in seen),
        )

    def lines(self) -> Iterator[str]:
        """Yield the numbers in words."""
        n = self.frames
        yield f'{self.source}: peak on what the command names in {self.on_named} of {n} frames'
        yield f'  spread {self.spread:.2f} (0 one cell, 1 everywhere), diffuse in {self.diffuse}'
        yield (
            f'  hidden where it looks, the action moves by {self.attended_m * 1e3:.1f} mm; '
            f'hidden elsewhere, by {self.elsewhere_m * 1e3:.1f} mm; more in {self.attended_more}'
        )


def judge(policy_path: Path, specs: Iterable[Spec]) -> list[Verdict]:
    """Return a verdict on each of ``SOURCES`` over the first frames of ``specs``."""
    onlooker, trials = Onlooker(policy_path), [build(spec) for spec in specs]
    return [
        Verdict.of(
            source,
            (
                onlooker.glance(trial, source, np.random.default_rng(number))
                for number, trial in enumerate(trials)
            ),
        )
        for source in SOURCES
    ]
