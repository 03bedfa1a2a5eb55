"""A whole training run: demonstrations, steps, corrections, export. Killed, it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import os
from pathlib import Path
import subprocess

import numpy as np
import torch
from torch import Tensor

from vla_ros.evaluation.curves import draw_curves
from vla_ros.interfaces import (
    BASE_FRAME,
    CameraModel,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
    STATE_CHANNELS,
)
from vla_ros.models.export import export_policy
from vla_ros.models.policies.keypoint import IMAGE_MEAN, IMAGE_STD, KeypointPolicy
from vla_ros.models.registry import build_policy, PolicySpec
from vla_ros.pipeline.manifest import (
    Camera,
    Channel,
    Normalisation,
    PolicyManifest,
    TextEncoderPin,
)
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.sim.environment import WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import COLOURS, Look, SHAPES
from vla_ros.training.augment import augment, augment_text, recolour
from vla_ros.training.batches import Batch, Batches, TASKS
from vla_ros.training.calibration import calibrate
from vla_ros.training.collection import collect, load_frames
from vla_ros.training.config import save_config, TrainConfig
from vla_ros.training.corrections import PolicyActor
from vla_ros.training.losses import keypoint_losses, reading_losses, shape_losses
from vla_ros.training.parallel import run_ranks
from vla_ros.training.sentences import (
    encode_sentences,
    new_sentences,
    sentence_bank,
    SentenceBatch,
)
from vla_ros.training.trainer import bfloat16_is_faster, Trainer

#: What thresholds are set on: other sentences, batches of frames, and other scenes.
_SENTENCES, _STEPS, _VALIDATION_SEED = 3000, 50, 1000

_FRAMES_PER_RANK = 32
#: One in so many pictures is seen in other colours as well.
_RECOLOURED = 4

_UNITS = {'position': 'm', 'orientation': '1', 'gripper': '1'}


@dataclass(frozen=True, eq=False)
class _Objective:
    """The losses of the keypoint policy on augmented pictures and words."""

    policy: KeypointPolicy
    camera: CameraModel
    random: torch.Generator
    mixed: bool

    def __call__(self, batch: tuple[Batch, SentenceBatch]) -> dict[str, Tensor]:
        frames, sentences = batch
        text, mask = augment_text(sentences.text, sentences.text_mask, self.random)
        image = augment(frames.image, self.random)
        recoloured = recolour(image[: len(image) // _RECOLOURED], self.random)
        with torch.autocast('cpu', torch.bfloat16, enabled=self.mixed):
            seen = self.policy.see(image)
            shapes = self.policy.see(recoloured)
        return {
            **keypoint_losses(self.policy, frames, seen, self.camera),
            **shape_losses(self.policy, frames, shapes, self.camera),
            **reading_losses(self.policy.reader(text, mask), sentences),
        }


def policy_spec(config: TrainConfig, text_width: int) -> PolicySpec:
    """Return what the tabletop asks of a policy; the camera is the one without jitter."""
    made = config.demonstrations
    return PolicySpec(
        camera=camera_model(Look(), made.image_size, made.image_size),
        text_width=text_width,
        tasks=TASKS,
        zone_tasks=('push', 'put'),
        colours=len(COLOURS),
        shapes=len(SHAPES),
        workspace_min=WORKSPACE_MIN,
        workspace_max=WORKSPACE_MAX,
        horizon=made.horizon,
        dt_s=made.dt_s,
        speed_m_s=made.speed_m_s,
        angular_speed_rad_s=made.angular_speed_rad_s,
    )


def train(config: TrainConfig, folder: Path, name: str, workers: int) -> Path:
    """
    Train a policy in ``folder`` and export it there; return the path of the TorchScript file.

    What is already in the folder is used: demonstrations, sentences and the checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_config(config, folder / 'config.yaml')
    bank = sentence_bank(folder, config.sentences, config.seed, workers)
    made = config.demonstrations
    shards = collect(folder / 'demonstrations', made, config.episodes, config.seed, workers)
    # Statistics of a batch need a number of pictures in each process.
    ranks = max(1, min(workers, config.batch.frames // _FRAMES_PER_RANK))
    policy_path = folder / f'{name}.pt'
    stages = [*config.corrections.at_steps, config.trainer.steps]
    for stage, until_step in enumerate(stages):
        run_ranks(ranks, _steps, ranks, config, folder, shards, until_step)
        draw_curves(folder / 'log.jsonl', folder / 'curves.png')
        if until_step < config.trainer.steps:
            rounds = folder / f'corrections-{stage}'
            if not rounds.exists():
                _export(config, folder, bank.tokens.shape[1], policy_path, name, shards)
            shards += collect(
                rounds,
                made,
                config.corrections.episodes,
                config.seed + stage + 1,
                workers,
                partial(PolicyActor, policy_path),
            )
    calibration = _calibration(config, folder, workers)
    _export(config, folder, bank.tokens.shape[1], policy_path, name, shards, calibration)
    return policy_path


def _calibration(
    config: TrainConfig, folder: Path, workers: int
) -> Callable[[KeypointPolicy], None]:
    """Return what sets a policy's thresholds, on phrasings and scenes not trained on."""
    bank = encode_sentences(new_sentences(_SENTENCES, config.seed + 1), workers)
    shards = collect(
        folder / 'validation',
        config.demonstrations,
        config.corrections.episodes // 10 or 1,
        config.seed + _VALIDATION_SEED,
        workers,
    )
    batches = Batches(load_frames(shards, config.demonstrations), config.batch, config.seed)
    return partial(calibrate, bank=bank, batches=batches, steps=_STEPS)


def _steps(
    rank: int, ranks: int, config: TrainConfig, folder: Path, paths: list[Path], until_step: int
) -> None:
    """Go on from the checkpoint up to a step, as one of several processes."""
    trainer, objective = _trainer(config, folder, load_text_encoder().width, rank)
    if trainer.step >= until_step:
        return
    bank = sentence_bank(folder, config.sentences, config.seed, ranks)
    batches = Batches(load_frames(paths, config.demonstrations), config.batch, config.seed)

    def batch_at(step: int) -> tuple[Batch, SentenceBatch]:
        # What is random in a step depends on the seed and the step alone.
        objective.random.manual_seed(config.seed + ranks * step + rank)
        torch.manual_seed(config.seed + ranks * step + rank)
        rows = np.random.default_rng((config.seed, step, 1)).integers(
            len(bank), size=config.batch.sentences
        )
        return batches.batch(step, rank, ranks), bank.batch(rows[rank::ranks])

    trainer.run(batch_at, until_step)


def _trainer(
    config: TrainConfig, folder: Path, text_width: int, rank: int = 0
) -> tuple[Trainer, _Objective]:
    """Return the trainer where its checkpoint left off, at the start without one."""
    torch.manual_seed(config.seed)  # every process starts from the same weights
    spec = policy_spec(config, text_width)
    policy = build_policy(config.policy, spec, config.options)
    assert isinstance(policy, KeypointPolicy)
    policy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = _Objective(policy, spec.camera, torch.Generator(), bfloat16_is_faster())
    weights = dict(config.loss_weights)
    trainer = Trainer(policy, objective, weights, config.trainer, folder, rank)
    trainer.resume()
    return trainer, objective


def _export(
    config: TrainConfig,
    folder: Path,
    text_width: int,
    path: Path,
    name: str,
    shards: list[Path],
    prepare: Callable[[KeypointPolicy], None] = lambda policy: None,
) -> PolicyManifest:
    """Write the policy of the checkpoint, as ``prepare`` leaves it, and its manifest."""
    policy = _trainer(config, folder, text_width)[0].average
    assert isinstance(policy, KeypointPolicy)
    prepare(policy)
    encoder = load_text_encoder()
    made = config.demonstrations
    frames = sum(len(shard) for shard in load_frames(shards, made))
    grid = made.image_size // KeypointPolicy.stride
    manifest = {
        'name': name,
        'cameras': (
            Camera(
                'front', made.image_size, made.image_size, Normalisation(IMAGE_MEAN, IMAGE_STD)
            ),
        ),
        'text_encoder': TextEncoderPin(encoder.id, encoder.sha256, encoder.width, MAX_TOKENS),
        'state_channels': _channels(STATE_CHANNELS),
        'action_channels': _channels((*POSE_CHANNELS, GRIPPER_CHANNEL)),
        'frame_id': BASE_FRAME,
        'absolute': True,
        'dt_s': made.dt_s,
        'horizon': made.horizon,
        'grid': (grid, grid),
        'attention': 'cross_attention',
        'tasks': TASKS,
        'training_data': (
            f'{frames} frames of the scripted expert and its corrections in the simulator, '
            f'{config.demonstrations.labels_per_frame} commands each, seed {config.seed}, '
            f'revision {_revision()}'
        ),
        'metrics': {},
        'licence': 'Apache-2.0',
    }
    return export_policy(policy, manifest, path)


def _channels(names: tuple[str, ...]) -> tuple[Channel, ...]:
    return tuple(Channel(name, _UNITS[name.partition('.')[0]]) for name in names)


def _revision() -> str:
    """Return the git revision of the code, as far as there is one."""
    try:
        return subprocess.run(
            ['git', 'describe', '--always', '--dirty'],
            cwd=os.path.dirname(__file__),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
