"""
Teaching a policy words anew: its reader learns from sentences alone, and the rest stays as it is.

A policy that sees apart from reading (``models/policies/keypoint.py``) gains words in minutes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.curves import draw_curves
from vla_ros.models.export import export_policy, fields_of
from vla_ros.models.registry import build_policy
from vla_ros.models.text.reader import Reader
from vla_ros.pipeline.manifest import PolicyManifest, TextEncoderPin
from vla_ros.pipeline.text_encoder import load_text_encoder, MAX_TOKENS
from vla_ros.training import parallel
from vla_ros.training.begun import begin, check_begun, config_of
from vla_ros.training.config import load_config, TrainConfig
from vla_ros.training.losses import reading_losses
from vla_ros.training.own_words import NO_WORDS, Words
from vla_ros.training.rebuild import rebuild
from vla_ros.training.recipes.reading import read_noisily
from vla_ros.training.run import policy_spec, revision
from vla_ros.training.sentences import bank_path, kept_banks, sentence_bank, SentenceBatch
from vla_ros.training.trainer import Trainer

_SENTENCES_PER_RANK = 64
_AGAIN = '; words taught again at revision '


def teach(
    path: Path,
    folder: Path,
    workers: int,
    config_path: Path | None = None,
    words: Words = NO_WORDS,
) -> Path:
    """
    Teach the policy at ``path`` the grammar's words and more; return the path of the new policy.

    ``folder`` gets it with its configuration, sentences, checkpoint and curves; what is already
    there is used. ``config_path`` is as for ``rebuild``. Raises ConfigurationError if the policy
    has no reader of its own, or ``folder`` is that of the policy, or was begun with another
    configuration or other words.
    """
    if folder.resolve() == path.parent.resolve():
        raise ConfigurationError(f'{folder} holds the policy itself; give another folder')
    manifest, policy = rebuild(path, config_path)
    reader = getattr(policy, 'reader', None)
    if not isinstance(reader, Reader):
        raise ConfigurationError(
            f'{path}: {manifest.name} does not read apart from seeing; train it whole: '
            'vla-ros train'
        )
    config = load_config(config_of(path, config_path))
    check_begun(config, folder, '--out')
    _check_sentences(config, folder, words)
    begin(config, folder, '--out')
    sentence_bank(folder, config.sentences, config.seed, workers, words)
    count = max(1, min(workers, config.batch.sentences // _SENTENCES_PER_RANK))
    parallel.run_ranks(count, _steps, count, config, folder, words)
    draw_curves(folder / 'log.jsonl', folder / 'curves.png')
    reader.load_state_dict(_trainer(config, folder).average.state_dict())
    taught = folder / path.name
    export_policy(policy, fields_of(_taught(manifest)), taught)
    return taught


def _check_sentences(config: TrainConfig, folder: Path, words: Words) -> None:
    """Raise ConfigurationError if a reader in the folder learns, or has learned, from others."""
    kept = kept_banks(folder)
    begun = kept or (folder / 'checkpoint.pt').exists()
    if begun and kept != {bank_path(folder, config.sentences, config.seed, words)}:
        raise ConfigurationError(
            f'{folder} was begun with other sentences than these words make; '
            'remove the folder, or choose another --out'
        )


def _steps(rank: int, ranks: int, config: TrainConfig, folder: Path, words: Words) -> None:
    """Go on from the checkpoint to the end, as one of several processes."""
    trainer = _trainer(config, folder, rank)
    bank = sentence_bank(folder, config.sentences, config.seed, ranks, words)

    def batch_at(step: int) -> tuple[SentenceBatch, torch.Generator]:
        own, of_torch = parallel.step_seeds(config.seed, step, rank)
        torch.manual_seed(of_torch)
        rng = np.random.default_rng((config.seed, step, 1))
        rows = rng.integers(len(bank), size=config.batch.sentences)[rank::ranks]
        return bank.batch(rows), torch.Generator().manual_seed(own)

    trainer.run(batch_at, config.trainer.steps)


def _trainer(config: TrainConfig, folder: Path, rank: int = 0) -> Trainer:
    """Return the trainer of a new reader, or where its checkpoint left off."""
    torch.manual_seed(config.seed)  # every process starts from the same weights
    spec = policy_spec(config, load_text_encoder().width)
    reader = build_policy(config.policy, spec, config.options).reader
    assert isinstance(reader, Reader)

    def losses(batch: tuple[SentenceBatch, torch.Generator]) -> dict[str, torch.Tensor]:
        return reading_losses(*read_noisily(reader, *batch))

    trainer = Trainer(reader, losses, dict(config.loss_weights), config.trainer, folder, rank)
    trainer.resume()
    return trainer


def _taught(manifest: PolicyManifest) -> PolicyManifest:
    """Return a manifest with what is now read, and nothing measured."""
    encoder = load_text_encoder()
    data = manifest.training_data.partition(_AGAIN)[0]  # an earlier reader's words are gone
    return replace(
        manifest,
        text_encoder=TextEncoderPin(encoder.id, encoder.sha256, encoder.width, MAX_TOKENS),
        training_data=f'{data}{_AGAIN}{revision()}',
        metrics={},
    )
