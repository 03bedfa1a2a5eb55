"""
The only loader of TorchScript files, and the policy made of one.

Loading such a file runs code, and damaged ones load without an error or crash the process: the
bytes are read once, compared with the hash in the manifest, and loaded from memory.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any
import warnings

import numpy as np
import torch
from torch import Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import (
    ActionChunk,
    GRIPPER_CHANNEL,
    Observation,
    PolicyResult,
    POSE_CHANNELS,
    REFUSAL_CHANNELS,
    REFUSALS,
    STATE_CHANNELS,
    TERMINATION_CHANNEL,
)
from vla_ros.models.contract import check_output, example_inputs, PolicyOutput
from vla_ros.pipeline.manifest import PolicyManifest, read_manifest

#: Calls after which TorchScript has specialised its graph and runs at full speed.
WARM_UP_CALLS = 3

_FIX = 'export the policy again, or leave policy_path empty for the shipped one'


class TorchPolicy:
    """
    A loaded and checked policy; ``manifest`` says what it wants. One caller at a time.

    ``module`` takes what ``inputs`` makes of an observation.
    """

    def __init__(self, manifest: PolicyManifest, module: torch.jit.ScriptModule) -> None:
        self.manifest = manifest
        self.module = module
        self._image_shape = (
            len(manifest.cameras),
            manifest.image_height,
            manifest.image_width,
            3,
        )
        self._channels = (*manifest.action_names, TERMINATION_CHANNEL, *REFUSAL_CHANNELS)

    def reset(self) -> None:
        """Do nothing: the contract has no state between calls."""

    def infer(self, observation: Observation) -> PolicyResult:
        """
        Return the chunk, attention and task probabilities for one observation.

        Row i of the chunk is i * dt_s after the image; its last channels are the probabilities
        of termination and of ``REFUSALS``, 0 for those that the manifest lacks. Raises
        ConfigurationError if the images, the state or the command are not of the manifest's
        sizes.
        """
        n = len(observation.command.tokens)
        inputs = self.inputs(observation)
        with torch.no_grad():
            output: PolicyOutput = self.module(*inputs)
            probabilities = output.task_logits[0].softmax(dim=0).numpy()
        by_task = dict(zip(self.manifest.tasks, probabilities, strict=True))
        actions, termination = output.actions[0].numpy(), output.termination[0].numpy()
        refusals = np.tile([by_task.get(name, 0.0) for name in REFUSALS], (len(actions), 1))
        values = np.column_stack([actions, termination, refusals])
        chunk = ActionChunk(
            stamp_ns=observation.stamp_ns,
            command_stamp_ns=observation.command.stamp_ns,
            frame_id=self.manifest.frame_id,
            channels=self._channels,
            values=values.astype(np.float64),
            dt_s=self.manifest.dt_s,
        )
        return PolicyResult(chunk, output.attention[0, :n].numpy(), probabilities)

    def inputs(self, observation: Observation) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the module takes, a batch of one; raises ConfigurationError as ``infer``."""
        self._check(observation)
        tokens = observation.command.tokens
        text = np.zeros((1, self.manifest.text_encoder.max_tokens, tokens.shape[1]), np.float32)
        text[0, : len(tokens)] = tokens
        # Copies, for images that arrived in messages may not be written to, which torch wants.
        image = np.array(observation.images.transpose(0, 3, 1, 2), order='C')
        return (
            torch.from_numpy(image)[None],
            torch.from_numpy(text),
            torch.arange(text.shape[1])[None] < len(tokens),
            torch.from_numpy(np.array(observation.state, np.float32))[None],
        )

    def _check(self, observation: Observation) -> None:
        manifest, tokens = self.manifest, observation.command.tokens
        if observation.images.shape != self._image_shape:
            raise ConfigurationError(
                f'policy {manifest.name}: got images {observation.images.shape}, expected '
                f'{self._image_shape}; set image_width and image_height of the camera node'
            )
        if observation.state.shape != (len(manifest.state_channels),):
            raise ConfigurationError(
                f'policy {manifest.name}: got a state of shape {observation.state.shape}, '
                f'expected {", ".join(manifest.state_names)}'
            )
        pin = manifest.text_encoder
        if tokens.shape[1] != pin.width or not 1 <= len(tokens) <= pin.max_tokens:
            raise ConfigurationError(
                f'policy {manifest.name}: got {len(tokens)} command tokens of width '
                f'{tokens.shape[1]}, expected 1 to {pin.max_tokens} of width {pin.width}; '
                f'encode commands with {pin.id}'
            )


def load_policy(path: str | Path, num_threads: int = 1) -> TorchPolicy:
    """
    Return the policy at ``path``: pinned by its manifest, tried at its shapes, and warm.

    ``num_threads`` is torch's, for the whole process. Raises ConfigurationError, path first,
    for whatever is wrong with the file, its manifest or what it computes.
    """
    path = Path(path)
    if path.suffix != '.pt':
        raise ConfigurationError(f'{path}: got {path.suffix or "no suffix"}, expected .pt; {_FIX}')
    _check_regular(path)
    manifest = read_manifest(path)
    _check_robot(path, manifest)
    torch.set_num_threads(num_threads)
    module = load_torchscript(path, manifest.sha256, manifest.size_bytes)
    inputs = example_inputs(manifest)
    try:
        # Not inference_mode: TorchScript keeps constants of the first calls, and those made in it
        # can have no part in a gradient (see ``pipeline.saliency``).
        with torch.no_grad():
            for _ in range(WARM_UP_CALLS):
                check_output(module(*inputs), manifest)
    except Exception as error:  # a model's code may raise anything
        raise ConfigurationError(
            f'{path}: the model does not keep the contract: {_one_line(error)}; {_FIX}'
        ) from error
    return TorchPolicy(manifest, module)


def load_torchscript(path: Path, sha256: str, size_bytes: int) -> Any:
    """
    Return the TorchScript module at ``path``, on the CPU, if it has this hash and size.

    Raises ConfigurationError if the file is missing, not a regular one, another one or damaged.
    """
    _check_regular(path)
    try:
        with path.open('rb') as file:
            data = file.read(size_bytes + 1)
    except (OSError, MemoryError) as error:
        reason = getattr(error, 'strerror', None) or 'out of memory'
        raise ConfigurationError(f'{path}: cannot be read ({reason}); {_FIX}') from error
    if len(data) != size_bytes:
        got = 'more' if len(data) > size_bytes else len(data)
        raise ConfigurationError(
            f'{path}: got {got} bytes, expected {size_bytes} by the manifest; {_FIX}'
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ConfigurationError(
            f'{path}: got sha256 {digest}, expected {sha256} by the manifest; {_FIX}'
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)
            # Fusing kernels costs the first calls much and brings a transformer nothing.
            torch.jit.set_fusion_strategy([('STATIC', 0), ('DYNAMIC', 0)])
            return torch.jit.load(io.BytesIO(data), map_location='cpu').eval()
    except Exception as error:  # RuntimeError, IndexError, UnicodeDecodeError, MemoryError, ...
        raise ConfigurationError(
            f'{path}: this is no TorchScript file for torch {torch.__version__} '
            f'({_one_line(error)}); {_FIX}'
        ) from error


def _check_regular(path: Path) -> None:
    """Raise before anything is opened: opening a FIFO waits, reading a device never ends."""
    try:
        if path.is_file():
            return
        got = (
            'a directory' if path.is_dir() else 'a device or FIFO' if path.exists() else 'no file'
        )
    except OSError as error:
        got = error.strerror or str(error)
    raise ConfigurationError(f'{path}: got {got}, expected a TorchScript file; {_FIX}')


def _check_robot(path: Path, manifest: PolicyManifest) -> None:
    """Raise unless the pipeline can feed the policy and knows what its actions mean."""
    unknown = [name for name in manifest.state_names if name not in STATE_CHANNELS]
    if unknown:
        raise ConfigurationError(
            f'{path}: the policy wants the state {", ".join(unknown)}, '
            f'the robot has {", ".join(STATE_CHANNELS)}; {_FIX}'
        )
    actions = (*POSE_CHANNELS, GRIPPER_CHANNEL)
    if manifest.action_names != actions or not manifest.absolute:
        kind = 'absolute' if manifest.absolute else 'relative'
        raise ConfigurationError(
            f'{path}: the policy returns {kind} {", ".join(manifest.action_names)}, '
            f'the robot takes absolute {", ".join(actions)}; {_FIX}'
        )


def _one_line(error: Exception) -> str:
    """Return the line that tells most: TorchScript puts the cause last, below its own trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if 'TorchScript interpreter' in lines[0] else lines[0]
