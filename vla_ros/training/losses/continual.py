"""
Learning more without forgetting: elastic weight consolidation (Kirkpatrick et al. 2017).

Each weight is held where the old task left it, the more firmly the more that task depends on it:
by the diagonal of its Fisher information.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn, Tensor


def diagonal_fisher(module: nn.Module, log_likelihoods: Iterable[Tensor]) -> dict[str, Tensor]:
    """
    Return the mean square of the gradient of each trained parameter, by its name.

    ``log_likelihoods`` () are those of one example each, in their graph; for the true Fisher
    information the answers are drawn from what the model itself says. Give a generator, and
    only one graph is in memory at a time. Raises ValueError if there are none.
    """
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in parameters.items()}
    count = 0
    for log_likelihood in log_likelihoods:
        gradients = torch.autograd.grad(
            log_likelihood, list(parameters.values()), allow_unused=True
        )
        for name, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient.square()
        count += 1
    if count == 0:
        raise ValueError('the Fisher information needs one example at least')
    return {name: value / count for name, value in total.items()}


class ElasticWeights:
    """Remembers where a task left a module; ``fisher`` tells what it depends on."""

    def __init__(self, module: nn.Module, fisher: Mapping[str, Tensor], strength: float) -> None:
        parameters = dict(module.named_parameters())
        self._fisher = dict(fisher)
        self._home = {name: parameters[name].detach().clone() for name in fisher}
        self._strength = strength

    def penalty(self, module: nn.Module) -> Tensor:
        """Return the loss () of having left home: strength / 2 * fisher * distance squared."""
        parameters = dict(module.named_parameters())
        terms = [
            (fisher * (parameters[name] - self._home[name]).square()).sum()
            for name, fisher in self._fisher.items()
        ]
        return self._strength / 2.0 * torch.stack(terms).sum()
