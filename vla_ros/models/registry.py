"""Policies by name, so that a training configuration can choose one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import CameraModel


@dataclass(frozen=True, eq=False)
class PolicySpec:
    """
    What the robot, its task and its text encoder ask of any policy.

    ``camera`` is the nominal one, at the size of the policy's image. ``tasks`` begin with the
    refusals; ``zone_tasks`` are those that name a zone. There are so many ``colours`` and
    ``shapes`` of things. No target leaves the box from ``workspace_min`` to ``workspace_max``, m.
    """

    camera: CameraModel
    text_width: int
    tasks: tuple[str, ...]
    zone_tasks: tuple[str, ...]
    colours: int
    shapes: int
    workspace_min: tuple[float, ...]
    workspace_max: tuple[float, ...]
    horizon: int
    dt_s: float
    speed_m_s: float
    angular_speed_rad_s: float


_POLICIES: dict[str, tuple[Callable[..., nn.Module], type]] = {}


def register_policy(name: str, config: type) -> Callable[[type], type]:
    """Make a policy known by ``name``; it is built as ``cls(spec, config(**options))``."""

    def add(cls: type) -> type:
        _POLICIES[name] = (cls, config)
        return cls

    return add


def policy_names() -> tuple[str, ...]:
    # Importing a policy registers it.
    import vla_ros.models.policies.keypoint  # noqa: F401

    return tuple(_POLICIES)


def build_policy(name: str, spec: PolicySpec, options: Mapping[str, Any]) -> nn.Module:
    """Return a new policy; raises ConfigurationError for an unknown name or option."""
    if name not in policy_names():
        raise ConfigurationError(f'no policy {name!r}; valid: {", ".join(policy_names())}')
    cls, config = _POLICIES[name]
    known = [f.name for f in fields(config)]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigurationError(
            f'policy {name} has no option {unknown[0]!r}; valid: {", ".join(known)}'
        )
    return cls(spec, config(**options))
