"""Policies by name, so that a training configuration can choose one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
import json
from typing import Any, TypeVar

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import CameraModel
from vla_ros.limits import check_least
from vla_ros.models.contract import PolicyModule
from vla_ros.models.own import check_free, FIX
from vla_ros.pipeline.strict_json import parse


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


Builder = Callable[..., PolicyModule]
B = TypeVar('B', bound=Builder)

_POLICIES: dict[str, tuple[Builder, type]] = {}
_LOSSES: dict[str, tuple[str, ...]] = {}


def register_policy(name: str, config: type, losses: tuple[str, ...] = ()) -> Callable[[B], B]:
    """
    Make a policy known by ``name``; it is built as ``build(spec, config(**options))``.

    ``losses`` are those that its ``learn`` adds and that no policy of this package has. Raises
    ConfigurationError if the name is that of something else.
    """

    def add(build: B) -> B:
        check_free('policy', name, _POLICIES.get(name, (None,))[0], build)
        _POLICIES[name] = (build, config)
        _LOSSES[name] = losses
        return build

    return add


def policy_names() -> tuple[str, ...]:
    """
    Return every policy's name, in the order of the alphabet.

    Raises ConfigurationError if one of another package cannot be loaded or has a name that is
    taken.
    """
    # Importing a policy registers it.
    import vla_ros.models.policies.decision_transformer
    import vla_ros.models.policies.embodied
    from vla_ros.models.policies.fusion_policy import register_fusions
    import vla_ros.models.policies.keypoint
    import vla_ros.models.policies.multitask
    import vla_ros.models.policies.octo_readout
    import vla_ros.models.policies.rt2_tokens
    import vla_ros.models.policies.vit_transformer  # noqa: F401

    register_fusions()  # of other packages as well
    return tuple(sorted(_POLICIES))


def own_losses(policy: str | None = None) -> tuple[str, ...]:
    """
    Return the losses that no policy of this package has, in the order of the alphabet.

    They are those of all policies, or of one of them.
    """
    names = policy_names() if policy is None else (policy,)
    return tuple(sorted({loss for name in names for loss in _LOSSES.get(name, ())}))


def policy_options(name: str) -> dict[str, Any]:
    """Return the options of a policy with their defaults; raises ConfigurationError."""
    if name not in policy_names():
        raise ConfigurationError(f'no policy {name!r}; valid: {", ".join(policy_names())}; {FIX}')
    # A document has lists for tuples.
    return json.loads(json.dumps(asdict(_POLICIES[name][1]())))


def build_policy(name: str, spec: PolicySpec, options: Mapping[str, Any]) -> PolicyModule:
    """Return a new policy; raises ConfigurationError for an unknown name or a wrong option."""
    known = policy_options(name)
    if unknown := [option for option in options if option not in known]:
        raise ConfigurationError(
            f'policy {name} has no option {unknown[0]!r}; valid: {", ".join(known)}'
        )
    build, config = _POLICIES[name]
    try:
        chosen: Any = parse(config, {**known, **options})
        # Whole numbers are sizes and counts; where the default is less, that is no mistake.
        whole = [option for option in known if type(getattr(chosen, option)) is int]
        check_least(chosen, **{option: min(1, known[option]) for option in whole})
        return build(spec, chosen)
    except ValueError as error:
        raise ConfigurationError(f'policy {name}: {error}') from error
