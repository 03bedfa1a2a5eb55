"""
The manifest beside a model file: what it is, what it eats and what it returns.

``<name>.json`` beside ``<name>.pt``. It is read and checked before the model is opened: loading
one may run code, so only the bytes that a manifest pins by their hash are ever loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
import json
import math
from pathlib import Path
import re

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import TERMINATION_CHANNEL
from vla_ros.pipeline.strict_json import read_json

POLICY_FORMAT = 1
TEXT_ENCODER_FORMAT = 1

#: What a policy file can run on (see ``pipeline.backends``), and how its name ends.
BACKENDS = {
    'torchscript': '.pt',
    'aotinductor': '.pt2',
    'onnxruntime': '.onnx',
    'openvino': '.onnx',
}
_UNITS = {'position': 'm', 'orientation': '1', 'gripper': '1'}
#: What ``PolicyOutput.attention`` is.
ATTENTION_KINDS = ('cross_attention', 'saliency')


@dataclass(frozen=True)
class Normalisation:
    """What the model does to RGB in 0..1, for the reader: (value - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not (all(map(math.isfinite, self.mean + self.std)) and min(self.std) > 0.0):
            raise ValueError(f'std: got {self.std}, expected three positive numbers')


@dataclass(frozen=True)
class Camera:
    """One camera of the policy: its name and the size in pixels of the images it wants."""

    name: str
    width: int
    height: int
    normalisation: Normalisation

    def __post_init__(self) -> None:
        _check_positive(self, 'width', 'height')


@dataclass(frozen=True)
class Channel:
    """One number of the state or the action, e.g. ``position.x`` in ``m``."""

    name: str
    unit: str


def channels(names: Iterable[str]) -> tuple[Channel, ...]:
    """Return the channels of an end-effector policy, as in ``interfaces``, with their units."""
    return tuple(Channel(name, _UNITS[name.partition('.')[0]]) for name in names)


@dataclass(frozen=True)
class TextEncoderPin:
    """
    The text encoder a policy goes with; ``sha256`` is that of its weights and lexicon.

    ``short`` begins it, for people.
    """

    id: str
    sha256: str
    width: int
    max_tokens: int

    @property
    def short(self) -> str:
        return self.sha256[:12]

    def __post_init__(self) -> None:
        _check_sha256(self.sha256)
        _check_positive(self, 'width', 'max_tokens')


@dataclass(frozen=True)
class PolicyManifest:
    """
    Everything about a policy that does not need torch to know.

    ``sha256`` and ``size_bytes`` pin the model file. Poses in the action are in ``frame_id``,
    ``absolute`` or relative to the measured pose; there are ``horizon`` of them, ``dt_s`` apart.
    ``grid`` is the height and width of the attention, ``tasks`` names the task logits. The file
    runs on ``backend``.
    """

    format_version: int
    name: str
    sha256: str
    size_bytes: int
    cameras: tuple[Camera, ...]
    text_encoder: TextEncoderPin
    state_channels: tuple[Channel, ...]
    action_channels: tuple[Channel, ...]
    frame_id: str
    absolute: bool
    dt_s: float
    horizon: int
    grid: tuple[int, int]
    attention: str
    tasks: tuple[str, ...]
    training_data: str
    metrics: Mapping[str, float]
    licence: str
    backend: str = 'torchscript'

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f'backend: got {self.backend!r}, expected {", ".join(BACKENDS)}')
        if self.format_version != POLICY_FORMAT:
            raise ValueError(
                f'format_version: got {self.format_version}, expected {POLICY_FORMAT}'
            )
        _check_sha256(self.sha256)
        _check_positive(self, 'size_bytes', 'dt_s', 'horizon')
        if min(self.grid) < 1:
            raise ValueError(f'grid: got {self.grid}, expected two positive numbers')
        _check_names('cameras', [camera.name for camera in self.cameras])
        _check_names('state_channels', self.state_names)
        _check_names('action_channels', self.action_names)
        _check_names('tasks', self.tasks)
        if TERMINATION_CHANNEL in self.action_names:
            raise ValueError(
                f'action_channels: got {TERMINATION_CHANNEL}, which every policy returns apart'
            )
        if len({(camera.width, camera.height) for camera in self.cameras}) > 1:
            raise ValueError('cameras: got different sizes, expected one for all')
        if self.attention not in ATTENTION_KINDS:
            raise ValueError(
                f'attention: got {self.attention!r}, expected {" or ".join(ATTENTION_KINDS)}'
            )

    @property
    def image_width(self) -> int:
        return self.cameras[0].width

    @property
    def image_height(self) -> int:
        return self.cameras[0].height

    @property
    def text_width(self) -> int:
        return self.text_encoder.width

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.state_channels)

    @property
    def action_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.action_channels)


@dataclass(frozen=True)
class TextEncoderManifest:
    """
    The same for an exported text encoder.

    ``weights_sha256`` is that of the weights it was made from: the identity that policies pin.
    ``tokenizer_sha256`` pins the ``tokenizer.json`` beside it.
    """

    format_version: int
    id: str
    weights_sha256: str
    sha256: str
    size_bytes: int
    tokenizer_sha256: str
    width: int
    licence: str

    def __post_init__(self) -> None:
        if self.format_version != TEXT_ENCODER_FORMAT:
            raise ValueError(
                f'format_version: got {self.format_version}, expected {TEXT_ENCODER_FORMAT}'
            )
        for digest in (self.weights_sha256, self.sha256, self.tokenizer_sha256):
            _check_sha256(digest)
        _check_positive(self, 'size_bytes', 'width')


def manifest_path(model_path: str | Path) -> Path:
    """Return where the manifest of a model file lies."""
    return Path(model_path).with_suffix('.json')


def read_manifest(model_path: str | Path) -> PolicyManifest:
    """Return the checked manifest of a policy file; raises ConfigurationError, path first."""
    return read_json(
        PolicyManifest,
        manifest_path(model_path),
        'a policy needs the manifest that was exported with it: copy both files, or export again',
    )


def check_text_encoder(model_path: str | Path, encoder_id: str, sha256: str) -> None:
    """Raise ConfigurationError unless a policy was trained with this very text encoder."""
    pin = read_manifest(model_path).text_encoder
    if (pin.id, pin.sha256) != (encoder_id, sha256):
        raise ConfigurationError(
            f'{model_path}: got a policy for the text encoder {pin.id} ({pin.sha256[:12]}), '
            f'expected one for {encoder_id} ({sha256[:12]}), by which commands are read here; '
            'train it again, or choose another policy_path'
        )


def read_text_encoder_manifest(model_path: str | Path) -> TextEncoderManifest:
    """Return the checked manifest of a text encoder file; raises ConfigurationError."""
    return read_json(
        TextEncoderManifest, manifest_path(model_path), 'delete its folder to have it made again'
    )


def to_json(manifest: PolicyManifest | TextEncoderManifest) -> str:
    """Return the text of the manifest's file."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False, allow_nan=False) + '\n'


def _check_sha256(digest: str) -> None:
    if not re.fullmatch('[0-9a-f]{64}', digest):
        raise ValueError(f'sha256: got {digest[:70]!r}, expected 64 lower-case hex digits')


def _check_positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f'{name}: got {value}, expected a positive number')


def _check_names(where: str, names: tuple[str, ...] | list[str]) -> None:
    if not names or len(set(names)) < len(names) or not all(names):
        raise ValueError(f'{where}: got {list(names)}, expected one or more different names')
