"""The network of the default training before any step, as a policy file."""

from dataclasses import replace
from pathlib import Path

import torch

from vla_ros.models.export import export_policy, fields_of
from vla_ros.models.registry import build_policy
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest
from vla_ros.training.config import load_config, TrainConfig
from vla_ros.training.run import policy_spec


def write_fresh_policy(path: Path, config: TrainConfig | None = None) -> Path:
    """Write one with the manifest of the shipped policy, which it is as large as if None."""
    torch.manual_seed(0)
    config, manifest = config or load_config(), read_manifest(shipped_policy_path())
    spec = policy_spec(config, manifest.text_width)
    network = build_policy(config.policy, spec, config.options)
    traits = network.traits()
    described = replace(manifest, grid=traits.grid, attention=traits.attention)
    export_policy(network, fields_of(described), path)
    return path
