"""
What stands on the table: objects, zones, and how the scene looks.

A scene is plain data, sampled from a seeded generator, so that an episode can be rebuilt exactly
from its seed. Lengths in metres in the base frame (z = 0 is the table top).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.errors import ConfigurationError

COLOURS: dict[str, tuple[float, float, float]] = {
    'red': (0.84, 0.13, 0.13),
    'green': (0.16, 0.62, 0.24),
    'blue': (0.14, 0.32, 0.82),
    'yellow': (0.95, 0.82, 0.15),
    'purple': (0.52, 0.20, 0.68),
    'orange': (0.96, 0.50, 0.10),
}
SHAPES = ('block', 'cylinder', 'ball')
OBJECT_NAMES = tuple(f'{colour} {shape}' for colour in COLOURS for shape in SHAPES)

#: Objects that demonstrations never show: whether a policy puts colour and shape together is
#: measured on them.
HELD_OUT_PAIRS = ('green ball', 'purple block', 'orange cylinder')

#: Half extent of every object, and the height of each shape's centre above the table.
OBJECT_RADIUS_M = 0.022
CENTRE_HEIGHT_M = {'block': 0.022, 'cylinder': 0.026, 'ball': 0.022}
ZONE_RADIUS_M = 0.06

#: Where objects and zones lie: x and y ranges that the arm reaches with room to push from behind.
AREA_X_M = (0.30, 0.58)
AREA_Y_M = (-0.25, 0.25)
_OBJECT_GAP_M = 0.105  # between centres: an open gripper fits around one without touching another
_ZONE_GAP_M = ZONE_RADIUS_M + 0.045
_MAX_TRIES = 10_000


@dataclass(frozen=True)
class ObjectSpec:
    """One object: its colour, shape, place on the table and rotation about the vertical."""

    colour: str
    shape: str
    x: float
    y: float
    yaw_rad: float

    @property
    def name(self) -> str:
        return f'{self.colour} {self.shape}'


@dataclass(frozen=True)
class ZoneSpec:
    """A flat coloured disc of radius ``ZONE_RADIUS_M``."""

    colour: str
    x: float
    y: float

    @property
    def name(self) -> str:
        return self.colour


@dataclass(frozen=True)
class Look:
    """Everything that changes the picture but not the task. Colours are RGB in 0..1."""

    table_rgb: tuple[float, float, float] = (0.80, 0.74, 0.66)
    light_position: tuple[float, float, float] = (0.9, 0.6, 1.6)
    ambient: float = 0.45
    tint: float = 0.0
    tint_seed: int = 0
    camera_shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    camera_tilt_rad: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class SceneSpec:
    """A whole scene; ``start`` is the gripper's first position."""

    objects: tuple[ObjectSpec, ...]
    zones: tuple[ZoneSpec, ...]
    start: tuple[float, float, float]
    look: Look = Look()

    def object(self, name: str) -> ObjectSpec:
        """Return the object called ``name``; raises KeyError if it is not in the scene."""
        for spec in self.objects:
            if spec.name == name:
                return spec
        raise KeyError(f'no {name!r} here; there is {", ".join(o.name for o in self.objects)}')

    def zone(self, name: str) -> ZoneSpec:
        """Return the zone of that colour; raises KeyError if it is not in the scene."""
        for spec in self.zones:
            if spec.name == name:
                return spec
        raise KeyError(f'no {name!r} zone here; there is {", ".join(z.name for z in self.zones)}')


def split_name(name: str) -> tuple[str, str]:
    """Return (colour, shape) of an object name; raises ConfigurationError for an unknown one."""
    colour, _, shape = name.partition(' ')
    if colour not in COLOURS or shape not in SHAPES:
        raise ConfigurationError(
            f'unknown object {name!r}; valid: one of {", ".join(COLOURS)} with one of '
            f'{", ".join(SHAPES)}'
        )
    return colour, shape


def sample_scene(
    rng: np.random.Generator,
    required_objects: Sequence[str] = (),
    required_zones: Sequence[str] = (),
    forbidden_objects: Sequence[str] = (),
    varied_look: bool = True,
) -> SceneSpec:
    """
    Sample a scene with four to six different objects and two zones.

    ``required_objects`` (names) and ``required_zones`` (colours) are in it, ``forbidden_objects``
    are not. Raises ConfigurationError when these ask for too much or for unknown names.
    """
    for name in (*required_objects, *forbidden_objects):
        split_name(name)
    for colour in required_zones:
        if colour not in COLOURS:
            raise ConfigurationError(f'unknown zone {colour!r}; valid: {", ".join(COLOURS)}')
    if len(required_objects) > 6 or len(required_zones) > 2:
        raise ConfigurationError('a scene holds at most six objects and two zones')

    names = list(required_objects)
    others = [n for n in OBJECT_NAMES if n not in names and n not in forbidden_objects]
    missing = max(int(rng.integers(4, 7)) - len(names), 0)
    names += [str(n) for n in rng.choice(others, size=missing, replace=False)]
    zone_names = list(required_zones)
    zone_others = [c for c in COLOURS if c not in zone_names]
    zone_names += [
        str(c) for c in rng.choice(zone_others, size=2 - len(zone_names), replace=False)
    ]

    zones_xy, objects_xy = _sample_layout(rng, len(zone_names), len(names))
    order = rng.permutation(len(names))
    objects = tuple(
        ObjectSpec(*split_name(names[i]), x, y, float(rng.uniform(-np.pi / 4, np.pi / 4)))
        for i, (x, y) in zip(order, objects_xy, strict=True)
    )
    zone_order = rng.permutation(len(zone_names))
    zones = tuple(
        ZoneSpec(zone_names[i], x, y) for i, (x, y) in zip(zone_order, zones_xy, strict=True)
    )
    start = (
        float(rng.uniform(0.32, 0.50)),
        float(rng.uniform(-0.18, 0.18)),
        float(rng.uniform(0.14, 0.24)),
    )
    return SceneSpec(objects, zones, start, _sample_look(rng) if varied_look else Look())


def _sample_layout(
    rng: np.random.Generator, zones: int, objects: int
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return places that keep the gaps, by rejection; starts over when it paints into a corner."""
    for _ in range(_MAX_TRIES):
        placed_zones: list[tuple[float, float]] = []
        placed: list[tuple[float, float]] = []
        for _ in range(200):
            xy = (float(rng.uniform(*AREA_X_M)), float(rng.uniform(*AREA_Y_M)))
            if len(placed_zones) < zones:
                if all(np.hypot(xy[0] - x, xy[1] - y) > 0.18 for x, y in placed_zones):
                    placed_zones.append(xy)
                continue
            if len(placed) == objects:
                return placed_zones, placed
            free = all(np.hypot(xy[0] - x, xy[1] - y) > _OBJECT_GAP_M for x, y in placed)
            if free and all(np.hypot(xy[0] - x, xy[1] - y) > _ZONE_GAP_M for x, y in placed_zones):
                placed.append(xy)
    raise RuntimeError('no free layout found')  # the area holds every allowed scene


def _sample_look(rng: np.random.Generator) -> Look:
    base = np.array([0.78, 0.73, 0.66]) + rng.uniform(-0.12, 0.12)
    table = np.clip(base + rng.uniform(-0.05, 0.05, 3), 0.35, 0.95)
    return Look(
        table_rgb=(float(table[0]), float(table[1]), float(table[2])),
        light_position=(
            float(rng.uniform(0.5, 1.2)),
            float(rng.uniform(-0.8, 0.8)),
            float(rng.uniform(1.3, 1.9)),
        ),
        ambient=float(rng.uniform(0.38, 0.55)),
        tint=0.05,
        tint_seed=int(rng.integers(2**31)),
        camera_shift_m=tuple(float(v) for v in rng.uniform(-0.01, 0.01, 3)),  # type: ignore[arg-type]
        camera_tilt_rad=tuple(float(v) for v in rng.uniform(-0.01, 0.01, 2)),  # type: ignore[arg-type]
    )
