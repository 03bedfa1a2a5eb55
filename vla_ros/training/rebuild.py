"""The network of a policy file, with its weights: what TorchScript keeps can only be run."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.models.registry import build_policy
from vla_ros.pipeline.manifest import PolicyManifest
from vla_ros.pipeline.policy import load_policy
from vla_ros.training.begun import config_path
from vla_ros.training.config import load_config
from vla_ros.training.run import policy_spec


def rebuild(path: Path, config: Path | None = None) -> tuple[PolicyManifest, nn.Module]:
    """
    Return the manifest of the TorchScript policy at ``path``, and its network as a module.

    ``config`` is that of its training; if None, the one beside the policy, else the default.
    Raises ConfigurationError if the file is no such policy, or the configuration builds another
    network.
    """
    policy = load_policy(path)
    if policy.manifest.backend != 'torchscript':
        raise ConfigurationError(
            f'{path}: this was exported for {policy.manifest.backend}; give the TorchScript file'
        )
    chosen = config_of(path, config)
    settings = load_config(chosen)
    spec = policy_spec(settings, policy.manifest.text_width)
    module = build_policy(settings.policy, spec, settings.options).eval()
    # TorchScript also keeps what a module computes when it is made; the module has its own.
    made = {name for name, _ in module.named_buffers()} - set(module.state_dict())
    assert isinstance(policy.module, nn.Module)
    weights = {k: v for k, v in policy.module.state_dict().items() if k not in made}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigurationError(
            f'{path}: its weights are not of the network of {chosen or "the default training"}; '
            'give the configuration of its training with --config'
        ) from error
    return policy.manifest, module


def config_of(path: Path, config: Path | None = None) -> Path | None:
    """Return ``config``, else the one beside the policy at ``path``, None if there is none."""
    beside = config_path(path.parent)
    return config or (beside if beside.is_file() else None)
