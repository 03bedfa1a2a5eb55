"""The training configuration: a YAML file over the defaults, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from vla_ros import paths
from vla_ros.errors import ConfigurationError
from vla_ros.limits import check_least
from vla_ros.models.registry import own_losses
from vla_ros.pipeline.strict_json import parse
from vla_ros.training.batches import BatchConfig
from vla_ros.training.demonstrations import DemonstrationConfig
from vla_ros.training.trainer import TrainerConfig


@dataclass(frozen=True)
class CorrectionConfig:
    """At which steps the policy drives for so many episodes, corrected by the expert."""

    at_steps: tuple[int, ...]
    episodes: int

    def __post_init__(self) -> None:
        check_least(self, episodes=1)


@dataclass(frozen=True)
class TrainConfig:
    """
    Everything that a run depends on; its values are in ``config/train/default.yaml``.

    ``policy`` is a registered name and ``options`` are its own. What it sees and reads with is
    learned too, or kept as the policy at ``parts_of`` has it: see ``training.kept``. So many
    ``sentences`` are made.
    ``loss_weights`` are by the name of the loss; a policy has some of them.
    """

    seed: int
    policy: str
    options: Mapping[str, Any]
    parts_of: str
    episodes: int
    demonstrations: DemonstrationConfig
    corrections: CorrectionConfig
    validation_episodes: int
    sentences: int
    batch: BatchConfig
    trainer: TrainerConfig
    loss_weights: Mapping[str, float]

    def __post_init__(self) -> None:
        # A threshold that is set by fewer scenes says more of them than of the policy.
        check_least(self, seed=0, episodes=1, validation_episodes=5, sentences=1)
        if self.batch.commands > self.demonstrations.labels_per_frame:
            raise ValueError(
                f'batch.commands is {self.batch.commands}; valid: up to '
                f'demonstrations.labels_per_frame, {self.demonstrations.labels_per_frame}'
            )
        stages = (0, *self.corrections.at_steps, self.trainer.steps)
        if any(later <= before for before, later in pairwise(stages)):
            raise ValueError(
                f'corrections.at_steps are {list(self.corrections.at_steps)}; valid: ascending '
                f'between 0 and trainer.steps, {self.trainer.steps}, or [] for no corrections'
            )


def load_config(path: Path | None = None) -> TrainConfig:
    """
    Return the defaults, changed by the YAML file at ``path``.

    A file that names another policy starts without options, for those of the default are not its.
    Raises ConfigurationError if it cannot be read, names something unknown or has a wrong type.
    """
    default_path = paths.share_dir() / 'config' / 'train' / 'default.yaml'
    document = _read(default_path)
    weights = dict(document['loss_weights'])
    if path is not None:
        changes = _read(path)
        if changes.get('policy', document['policy']) != document['policy']:
            document['options'] = {}
        _update(document, changes)
    try:
        config = parse(TrainConfig, document)
        _check_losses(config, weights)
    except ValueError as error:
        raise ConfigurationError(f'{path or default_path}: {error}') from error
    return config


def changed(config: TrainConfig, changes: dict[str, Any], option: str) -> TrainConfig:
    """
    Return the configuration with some settings changed, as a file would.

    Raises ConfigurationError, which names the ``option`` that asked for it, if they do not go
    together.
    """
    document = document_of(config)
    _update(document, changes)
    try:
        return parse(TrainConfig, document)
    except ValueError as error:
        raise ConfigurationError(f'{option}: {error}') from error


def save_config(config: TrainConfig, path: Path) -> None:
    """Write the resolved configuration; ``load_config`` reads it back."""
    path.write_text(yaml.safe_dump(document_of(config), sort_keys=False))


def document_of(config: TrainConfig) -> dict[str, Any]:
    """Return the configuration as a YAML document."""
    document: dict[str, Any] = _plain(asdict(config))
    return document


def merged(default_path: Path, path: Path | None = None) -> dict[str, Any]:
    """
    Return the YAML mapping of one file, changed by that of another one if there is one.

    Raises ConfigurationError if either cannot be read.
    """
    document = _read(default_path)
    if path is not None:
        _update(document, _read(path))
    return document


def _check_losses(config: TrainConfig, known: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for the weight of a loss that no policy has."""
    unknown = [name for name in config.loss_weights if name not in known]
    if unknown and (unknown := [name for name in unknown if name not in own_losses()]):
        raise ConfigurationError(
            f'loss_weights has no {unknown[0]}; valid: {", ".join((*known, *own_losses()))}'
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f'{path}: cannot be read as YAML: {error}') from error
    if not isinstance(document, dict):
        raise ConfigurationError(f'{path}: got no mapping; see config/train/default.yaml')
    return document


def _update(document: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _update(document[key], value)
        else:
            document[key] = value


def _plain(value: Any) -> Any:
    """Return ``value`` with lists for tuples: plain YAML."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
