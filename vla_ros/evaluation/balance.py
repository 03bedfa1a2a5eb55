"""What each modality is worth to a policy: success without it, and its share of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.closed_loop import LATENCY_S
from vla_ros.evaluation.looking import Onlooker
from vla_ros.evaluation.masking import MODALITIES
from vla_ros.evaluation.metrics import modality_balance, ModalityUse
from vla_ros.evaluation.report import successes
from vla_ros.evaluation.rollouts import evaluate
from vla_ros.evaluation.splits import build, Spec
from vla_ros.geometry import Array
from vla_ros.interfaces import Observation
from vla_ros.pipeline.manifest import PolicyManifest, read_manifest
from vla_ros.pipeline.policy import load_policy, TorchPolicy


def check_gradients(manifest: PolicyManifest) -> None:
    """Raise ConfigurationError for a policy that no balance can be measured of."""
    if manifest.backend != 'torchscript':
        raise ConfigurationError(
            f'policy {manifest.name}: {manifest.backend} has no gradients, so there is no '
            'balance; give the TorchScript file that it was exported from, or leave --balance'
        )


def attributions(policy: TorchPolicy, observation: Observation) -> dict[str, Array]:
    """
    Return gradient times input of each modality, (4, ...) in any size.

    Of the last position of the chunk, and of the likeliest task's probability: the words that
    choose a task say little about where it is done. Each of these counts alike, whatever its
    unit: its absolute values sum to one over all modalities.
    """
    image, text, mask, state = policy.inputs(observation)
    given = {
        name: value.float().requires_grad_()
        for name, value in zip(MODALITIES, (image, text, state), strict=True)
    }
    with torch.enable_grad():
        output = policy.module(given['vision'], given['text'], mask, given['state'])
        wanted = [*output.actions[0, -1, :3], output.task_logits[0].log_softmax(dim=0).max()]
        found = [_shares(value, list(given.values())) for value in wanted]
    return {
        name: np.stack(parts) for name, parts in zip(given, zip(*found, strict=True), strict=True)
    }


def measure_balance(
    policy_path: Path,
    specs: Sequence[Spec],
    whole: Sequence[bool],
    latency_s: float = LATENCY_S,
    workers: int | None = None,
) -> dict[str, ModalityUse]:
    """
    Do trials of tasks without each modality in turn, and look at the gradients at their start.

    ``whole`` are the successes in the same trials with all modalities. Raises ConfigurationError,
    at once, for a policy without gradients.
    """
    check_gradients(read_manifest(policy_path))
    masked = {
        name: successes(list(evaluate(policy_path, specs, latency_s, workers, name)))
        for name in MODALITIES
    }
    policy, onlooker = load_policy(policy_path), Onlooker(policy_path)
    each = [attributions(policy, onlooker.observe(build(spec))) for spec in specs]
    together = {name: np.concatenate([some[name] for some in each]) for name in MODALITIES}
    return modality_balance(whole, masked, together)


def _shares(value: Tensor, given: list[Tensor]) -> list[Array]:
    """Return the shares of all inputs in one value, flat; zeros where it hangs on none."""
    if not value.requires_grad:
        return [np.zeros(x.numel()) for x in given]
    gradients = torch.autograd.grad(value, given, retain_graph=True, allow_unused=True)
    parts = [
        torch.zeros(x.numel()) if gradient is None else (gradient * x).detach().abs().flatten()
        for gradient, x in zip(gradients, given, strict=True)
    ]
    total = torch.cat(parts).sum().clamp(min=torch.finfo(torch.float32).tiny)
    return [(part / total).numpy() for part in parts]
