"""Fusions by name, so that a training configuration can choose one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import inspect
from typing import Any, get_type_hints

from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.models.own import check_free, FIX, load_own
from vla_ros.pipeline.strict_json import parse

_FUSIONS: dict[str, Callable[..., nn.Module]] = {}


def register_fusion(name: str) -> Callable[[type], type]:
    """
    Make a fusion known by ``name``; it is built as ``cls(width, **options)``.

    There is then a policy of that name. Raises ConfigurationError if the name is that of something
    else.
    """

    def add(cls: type) -> type:
        check_free('fusion', name, _FUSIONS.get(name), cls)
        _FUSIONS[name] = cls
        return cls

    return add


def fusion_names() -> tuple[str, ...]:
    """Return every fusion's name; raises ConfigurationError as ``load_own``."""
    # Importing a fusion registers it.
    import vla_ros.models.fusion.bidirectional
    import vla_ros.models.fusion.cross_attention
    import vla_ros.models.fusion.early
    import vla_ros.models.fusion.intermediate
    import vla_ros.models.fusion.late
    import vla_ros.models.fusion.mixture
    import vla_ros.models.fusion.perceiver  # noqa: F401

    load_own()
    return tuple(_FUSIONS)


def build_fusion(name: str, width: int, options: Mapping[str, Any]) -> nn.Module:
    """Return a new fusion; raises ConfigurationError for an unknown name or option."""
    if name not in fusion_names():
        raise ConfigurationError(f'no fusion {name!r}; valid: {", ".join(fusion_names())}; {FIX}')
    known = list(inspect.signature(_FUSIONS[name]).parameters)[1:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigurationError(
            f'fusion {name} has no option {unknown[0]!r}; valid: {", ".join(known)}'
        )
    hints = get_type_hints(_FUSIONS[name].__init__)
    given = {
        option: _parsed(hints.get(option, Any), value, f'fusion {name}: {option}')
        for option, value in options.items()
    }
    return _FUSIONS[name](width, **given)


def _parsed(kind: Any, value: Any, where: str) -> Any:
    try:
        return parse(kind, value)
    except ValueError as error:
        raise ConfigurationError(f'{where}: {str(error).removeprefix("document: ")}') from error
