"""Scenes as JSON text, in which they travel and are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
import json
import math
from typing import Any

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.strict_json import parse
from vla_ros.sim.environment import WORKSPACE_MAX, WORKSPACE_MIN
from vla_ros.sim.scene import COLOURS, SceneSpec, split_name


def scene_to_json(scene: SceneSpec) -> str:
    """Return one line from which ``scene_from_json`` makes the same scene."""
    return json.dumps(asdict(scene))


def scene_from_json(text: str) -> SceneSpec:
    """Return the scene that ``text`` describes; raises ConfigurationError if none can be built."""
    try:
        scene = parse(SceneSpec, json.loads(text))
        _check(scene)
    except (ValueError, ConfigurationError, RecursionError) as error:
        raise ConfigurationError(
            f'scene: {error}; expected what vla_ros.sim.scene_json.scene_to_json writes'
        ) from error
    return scene


def _check(scene: SceneSpec) -> None:
    if not all(map(math.isfinite, _numbers(asdict(scene)))):
        raise ValueError('got a number that is not finite')
    names = [spec.name for spec in scene.objects]
    zones = [spec.name for spec in scene.zones]
    if not names or len(set(names)) < len(names) or len(set(zones)) < len(zones):
        raise ValueError(f'got objects {names} and zones {zones}, expected one of each name')
    for name in names:
        split_name(name)
    if not set(zones) <= set(COLOURS):
        raise ValueError(f'got zones {zones}, expected colours of {", ".join(COLOURS)}')
    places = [(spec.x, spec.y, scene.start[2]) for spec in scene.objects]
    places += [(spec.x, spec.y, scene.start[2]) for spec in scene.zones]
    for place in (scene.start, *places):
        box = zip(WORKSPACE_MIN, place, WORKSPACE_MAX, strict=True)
        if any(not low <= value <= high for low, value, high in box):
            raise ValueError(f'{place} is outside {WORKSPACE_MIN} to {WORKSPACE_MAX}')


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from _numbers(item)
    elif not isinstance(value, str):
        yield value
