"""The network of a policy file, with its weights: what TorchScript keeps can only be run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import example_inputs
from vla_ros.models.export import largest_difference, PARITY
from vla_ros.models.registry import build_policy
from vla_ros.pipeline.manifest import PolicyManifest
from vla_ros.pipeline.policy import load_policy
from vla_ros.training.begun import config_of
from vla_ros.training.config import load_config
from vla_ros.training.run import policy_spec

#: Noise is refused now and then, and what is refused does not move.
_ROWS = 8


def rebuild(path: Path, config: Path | None = None) -> tuple[PolicyManifest, nn.Module]:
    """
    Return the manifest of the TorchScript policy at ``path``, and its network as a module.

    ``config`` is that of its training; if None, the one beside the policy, else the default.
    Raises ConfigurationError if the file is no such policy, or the configuration builds another
    network, by its weights or by what it computes of them.
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
        raise ConfigurationError(_another(path, chosen, 'its weights are not')) from error
    inputs = example_inputs(policy.manifest, batch=_ROWS)
    with torch.no_grad():
        difference = largest_difference(policy.module(*inputs), module(*inputs))
    if not difference <= PARITY:
        said = f'what it computes, {difference:.1e} away, is not'
        raise ConfigurationError(_another(path, chosen, said))
    return policy.manifest, module


def _another(path: Path, config: Path | None, said: str) -> str:
    return (
        f'{path}: {said} of the network of {config or "the default training"}; '
        'give the configuration of its training with --config. Only policies of "vla-ros train" '
        'can be converted or taught: of others, such as one written by hand, there is no network'
    )
