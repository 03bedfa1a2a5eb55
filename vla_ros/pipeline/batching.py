"""Several robots on one policy: one pass for all, and none pays for another's mistake."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import Observation, Policy, PolicyResult


class BatchPolicy(Policy, Protocol):
    """A policy that can do several observations in one pass."""

    def check(self, observation: Observation) -> None:
        """Raise ConfigurationError if it cannot infer on this one."""

    def infer_all(self, observations: Sequence[Observation]) -> list[PolicyResult]: ...


def infer_each(
    policy: BatchPolicy, observations: Sequence[Observation]
) -> list[PolicyResult | Exception]:
    """
    Return what ``policy`` infers on each observation, or why it cannot.

    Those that are wrong are left out. If the others fail together, each is tried alone, so that
    only what fails alone is lost.
    """
    if len(observations) == 1:
        return [_alone(policy, observations[0])]
    refused = {i: why for i, o in enumerate(observations) if (why := _refusal(policy, o))}
    rest = [i for i in range(len(observations)) if i not in refused]
    results: dict[int, PolicyResult | Exception] = dict(refused)
    with suppress(Exception):
        results.update(zip(rest, policy.infer_all([observations[i] for i in rest]), strict=True))
    for i in rest:
        if i not in results:
            results[i] = _alone(policy, observations[i])
    return [results[i] for i in range(len(observations))]


def _refusal(policy: BatchPolicy, observation: Observation) -> Exception | None:
    try:
        policy.check(observation)
    except ConfigurationError as error:
        return error
    return None


def _alone(policy: BatchPolicy, observation: Observation) -> PolicyResult | Exception:
    try:
        return policy.infer(observation)
    except Exception as error:  # a model's code may raise anything
        return error
