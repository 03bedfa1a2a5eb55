"""A whole training run: demonstrations, steps, corrections, export. Killed, it goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import os
from pathlib import Path
import subprocess

import numpy as np
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.curves import draw_curves
from vla_ros.freed_memory import keep_freed_memory
from vla_ros.interfaces import BASE_FRAME, GRIPPER_CHANNEL, POSE_CHANNELS, STATE_CHANNELS
from vla_ros.models.contract import PolicyModule
from vla_ros.models.export import export_policy
from vla_ros.models.registry import build_policy, own_losses, PolicySpec
from vla_ros.pipeline.manifest import Camera, channels, PolicyManifest, TextEncoderPin
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.sim.environment import WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import COLOURS, Look, SHAPES
from vla_ros.training import parallel
from vla_ros.training.batches import Batches, TASKS
from vla_ros.training.begun import begin
from vla_ros.training.collection import collect, load_frames
from vla_ros.training.config import TrainConfig
from vla_ros.training.corrections import PolicyActor
from vla_ros.training.kept import bring_source, keep_parts, source_of, source_path, told
from vla_ros.training.recipes import recipe_for
from vla_ros.training.recipes.recipe import Lesson, moved, Recipe
from vla_ros.training.sentences import sentence_bank
from vla_ros.training.trainer import Trainer

#: Of the scenes that a trained policy is made ready with, beside that of the training.
_VALIDATION_SEED = 1000

#: Statistics of a batch need a number of pictures in each process; so many are good, half as many
#: the least.
_FRAMES_PER_RANK = 32
#: A step leaves about so much behind for the next one.
_REUSED_BYTES = 2**30
_CPU = torch.device('cpu')


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


def check(config: TrainConfig, folder: Path) -> None:
    """
    Raise ConfigurationError if the policy of a run in a folder cannot be made, or not be taught.

    What is wrong is told by this, not when the demonstrations are made.
    """
    spec = policy_spec(config, load_text_encoder().width)
    policy = build_policy(config.policy, spec, config.options)
    if config.parts_of:
        keep_parts(policy, source_of(config.parts_of, folder))
    recipe_for(config.policy).check(config)
    for loss in own_losses(config.policy):
        if loss not in config.loss_weights:
            raise ConfigurationError(
                f'loss_weights has none for {loss}, a loss of policy {config.policy}; '
                f'set loss_weights.{loss}'
            )


def train(config: TrainConfig, folder: Path, name: str, workers: int, device: str = 'cpu') -> Path:
    """
    Train a policy in ``folder`` and export it there; return the path of the TorchScript file.

    What is already in the folder is used: demonstrations, sentences and the checkpoint. Steps are
    taken by several processes: by as many as torchrun started, else on a CPU by ``workers``.
    Raises ConfigurationError as ``check``, if the folder was begun with another configuration, or
    if there are too many processes for a batch.
    """
    with parallel.launched(parallel.local_device(device)):
        return _train(config, folder, name, workers, device)


def _train(config: TrainConfig, folder: Path, name: str, workers: int, device: str) -> Path:
    _check_share(config.batch.frames, parallel.ranks())
    made = config.demonstrations
    with parallel.first_alone():
        check(config, folder)
        begin(config, folder, '--name or --runs')
        bring_source(config.parts_of, folder)
        text_width = sentence_bank(folder, config.sentences, config.seed, workers).tokens.shape[1]
        shards = collect(folder / 'demonstrations', made, config.episodes, config.seed, workers)
    count = parallel.ranks()
    if count == 1 and device == 'cpu':
        count = max(1, min(workers, config.batch.frames // _FRAMES_PER_RANK))
    policy_path = folder / f'{name}.pt'
    stages = [*config.corrections.at_steps, config.trainer.steps]
    for stage, until_step in enumerate(stages):
        parallel.run_ranks(count, _steps, count, config, folder, shards, until_step, device)
        if parallel.rank() == 0:
            draw_curves(folder / 'log.jsonl', folder / 'curves.png')
        if until_step == config.trainer.steps:
            break
        with parallel.first_alone():
            rounds = folder / f'corrections-{stage}'
            if not rounds.exists():
                _export(config, folder, text_width, policy_path, name, shards)
            shards += collect(
                rounds,
                made,
                config.corrections.episodes,
                config.seed + stage + 1,
                workers,
                partial(PolicyActor, policy_path),
            )
    prepare = partial(
        recipe_for(config.policy).prepare, unseen=lambda: _unseen(config, folder, workers)
    )
    if parallel.rank() == 0:
        _export(config, folder, text_width, policy_path, name, shards, prepare)
    return policy_path


def _check_share(frames: int, ranks: int) -> None:
    """Raise ConfigurationError if torchrun started more processes than a batch is enough for."""
    least, share = _FRAMES_PER_RANK // 2, frames // ranks
    if ranks > 1 and share < least:
        raise ConfigurationError(
            f'{ranks} processes have {share} pictures of a batch each; valid: {least} and more. '
            f'Start at most {max(1, frames // least)}, or set batch.frames to {least * ranks}'
        )


def _unseen(config: TrainConfig, folder: Path, workers: int) -> Batches:
    """Return frames of scenes that were not trained on."""
    shards = collect(
        folder / 'validation',
        config.demonstrations,
        config.validation_episodes,
        config.seed + _VALIDATION_SEED,
        workers,
    )
    frames = load_frames(shards, config.demonstrations)
    return Batches(frames, config.batch, config.seed)


def _steps(
    rank: int,
    ranks: int,
    config: TrainConfig,
    folder: Path,
    paths: list[Path],
    until_step: int,
    kind: str,
) -> None:
    """Go on from the checkpoint up to a step, as one of several processes."""
    keep_freed_memory(_REUSED_BYTES)
    device = parallel.local_device(kind)
    trainer, recipe = _trainer(config, folder, load_text_encoder().width, rank, device)
    if trainer.step >= until_step:
        return
    bank = sentence_bank(folder, config.sentences, config.seed, ranks)
    batches = Batches(load_frames(paths, config.demonstrations), config.batch, config.seed)
    choose, share = recipe.chooser(bank), slice(rank, None, ranks)

    def lesson_at(step: int) -> Lesson:
        own, of_torch = parallel.step_seeds(config.seed, step, rank)
        recipe.random.manual_seed(own)
        torch.manual_seed(of_torch)
        frames = batches.batch(step, rank, ranks)
        rows = choose(frames, np.random.default_rng((config.seed, step, 1)), share)
        rehearsal = batches.rehearsal(step, rank, ranks)
        return moved(Lesson(frames, bank.batch(rows), rehearsal), device)

    trainer.run(lesson_at, until_step)


def _trainer(
    config: TrainConfig,
    folder: Path,
    text_width: int,
    rank: int = 0,
    device: torch.device = _CPU,
) -> tuple[Trainer, Recipe]:
    """Return the trainer where its checkpoint left off, at the start without one."""
    torch.manual_seed(config.seed)  # every process starts from the same weights
    spec = policy_spec(config, text_width)
    policy = build_policy(config.policy, spec, config.options)
    if config.parts_of:
        keep_parts(policy, source_path(folder))
    policy.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = recipe_for(config.policy)(policy, spec, config)
    weights = dict(config.loss_weights)
    trainer = Trainer(policy, recipe, weights, config.trainer, folder, rank)
    trainer.resume()
    return trainer, recipe


def _export(
    config: TrainConfig,
    folder: Path,
    text_width: int,
    path: Path,
    name: str,
    shards: list[Path],
    prepare: Callable[[PolicyModule], None] = lambda policy: None,
) -> PolicyManifest:
    """Write the policy of the checkpoint, as ``prepare`` leaves it, and its manifest."""
    policy = _trainer(config, folder, text_width)[0].average
    assert isinstance(policy, PolicyModule)
    prepare(policy)
    encoder = load_text_encoder()
    made = config.demonstrations
    frames = sum(len(shard) for shard in load_frames(shards, made))
    traits = policy.traits()
    manifest = {
        'name': name,
        'cameras': (Camera('front', made.image_size, made.image_size, traits.normalisation),),
        'text_encoder': TextEncoderPin(encoder.id, encoder.sha256, encoder.width, MAX_TOKENS),
        'state_channels': channels(STATE_CHANNELS),
        'action_channels': channels((*POSE_CHANNELS, GRIPPER_CHANNEL)),
        'frame_id': BASE_FRAME,
        'absolute': True,
        'dt_s': made.dt_s,
        'horizon': made.horizon,
        'grid': traits.grid,
        'attention': traits.attention,
        'tasks': TASKS,
        'training_data': (
            f'{frames} frames of the scripted expert and its corrections in the simulator, '
            f'{config.demonstrations.labels_per_frame} commands each, seed {config.seed}, '
            f'{_kept(config, folder)}revision {revision()}'
        ),
        'metrics': {},
        'licence': 'Apache-2.0',
    }
    return export_policy(policy, manifest, path)


def _kept(config: TrainConfig, folder: Path) -> str:
    return f'eyes and reading of {told(source_path(folder))}, ' if config.parts_of else ''


def revision() -> str:
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
