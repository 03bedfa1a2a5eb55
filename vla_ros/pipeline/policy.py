"""
The policy made of a model file, whatever that runs on (see ``pipeline.backends``).

Loading such a file may run code, and damaged ones load without an error or crash the process: the
bytes are read once, compared with the hash in the manifest, and loaded from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Thread
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
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
from vla_ros.pipeline.backends import load_module, Module, one_line
from vla_ros.pipeline.backends.devices import candidates, CPU, fastest
from vla_ros.pipeline.manifest import BACKENDS, PolicyManifest, read_manifest
from vla_ros.pipeline.pinned import check_regular, FIX

#: Calls after which TorchScript has specialised its graph and runs at full speed.
WARM_UP_CALLS = 3
#: A policy that does not return from these within so long never will.
TRIAL_S = 60.0

T = TypeVar('T')


class TorchPolicy:
    """
    A loaded and checked policy; ``manifest`` says what it wants. One caller at a time.

    ``module`` takes what ``inputs`` makes of an observation; ``device`` is where it runs.
    """

    def __init__(self, manifest: PolicyManifest, module: Module, device: str = CPU) -> None:
        self.manifest = manifest
        self.module = module
        self.device = device
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
        return self.infer_all([observation])[0]

    def infer_all(self, observations: Sequence[Observation]) -> list[PolicyResult]:
        """Return what ``infer`` does for each, by one pass; raises if any of them is wrong."""
        parts = [self.inputs(observation) for observation in observations]
        with torch.no_grad():
            output: PolicyOutput = self.module(*map(torch.cat, zip(*parts, strict=True)))
            probabilities = output.task_logits.softmax(dim=-1)
        return [
            self._result(observation, *(value[i].numpy() for value in (*output, probabilities)))
            for i, observation in enumerate(observations)
        ]

    def _result(
        self,
        observation: Observation,
        actions: NDArray[np.float32],
        termination: NDArray[np.float32],
        task_logits: NDArray[np.float32],
        attention: NDArray[np.float32],
        probabilities: NDArray[np.float32],
    ) -> PolicyResult:
        by_task = dict(zip(self.manifest.tasks, probabilities, strict=True))
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
        return PolicyResult(chunk, attention[: len(observation.command.tokens)], probabilities)

    def inputs(self, observation: Observation) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the module takes, a batch of one; raises ConfigurationError as ``infer``."""
        self.check(observation)
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

    def check(self, observation: Observation) -> None:
        """Raise ConfigurationError if an observation is not of the manifest's sizes."""
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


def load_policy(
    path: str | Path, num_threads: int = 1, robots: int = 1, device: str = CPU
) -> TorchPolicy:
    """
    Return the policy at ``path``: pinned by its manifest, tried at its shapes, and warm.

    The manifest says what it runs on. ``num_threads`` are those of that; of torch, they are of
    the whole process. It is tried for one robot, and for so many in one pass; with ``device``
    'auto', TorchScript also on a GPU, and stays where that pass is fastest. Raises
    ConfigurationError, path first, for whatever is wrong with the file, its manifest or what it
    computes.
    """
    path = Path(path)
    suffixes = list(dict.fromkeys(BACKENDS.values()))
    if path.suffix not in suffixes:
        raise ConfigurationError(
            f'{path}: got {path.suffix or "no suffix"}, expected {", ".join(suffixes)}; {FIX}'
        )
    check_regular(path)
    manifest = read_manifest(path)
    _check_robot(path, manifest)
    if path.suffix != BACKENDS[manifest.backend]:
        raise ConfigurationError(
            f'{path}: the manifest is for {manifest.backend}, which runs '
            f'{BACKENDS[manifest.backend]} files; {FIX}'
        )
    module = load_module(path, manifest.backend, manifest.sha256, manifest.size_bytes, num_threads)
    try:
        chosen, module = within(TRIAL_S, lambda: _tried(module, manifest, robots, device))
    except Exception as error:  # a model's code may raise anything
        raise ConfigurationError(
            f'{path}: the model does not keep the contract: {one_line(error)}; {FIX}'
        ) from error
    return TorchPolicy(manifest, module, chosen)


def _tried(
    module: Module, manifest: PolicyManifest, robots: int, device: str
) -> tuple[str, Module]:
    """Return on what a policy is fastest, and itself there, tried and warm."""
    # Not inference_mode: TorchScript keeps constants of the first calls, and those made in it
    # can have no part in a gradient (see ``pipeline.saliency``).
    with torch.no_grad():
        _warm_up(module, manifest, robots)
        can_move = device == 'auto' and manifest.backend == 'torchscript'
        ways = candidates(module) if can_move else {CPU: module}
        chosen = fastest(ways, example_inputs(manifest, robots))
        if chosen != CPU:
            _warm_up(ways[chosen], manifest, robots)
    return chosen, ways[chosen]


def within(seconds: float, work: Callable[[], T]) -> T:
    """
    Return what ``work`` returns; raises what it raises, and TimeoutError if it takes longer.

    It then goes on in a thread of its own, which nothing in Python can end, to the process's end.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name='trial', daemon=True).start()
    if not wait([done], seconds).done:
        raise TimeoutError(f'it has not returned for {seconds:g} s, and runs on until this ends')
    return done.result()


def _warm_up(module: Module, manifest: PolicyManifest, robots: int) -> None:
    """Call it until it is fast; raises ValueError if it does not keep the contract."""
    for batch in (*[1] * WARM_UP_CALLS, robots):
        check_output(module(*example_inputs(manifest, batch)), manifest, batch)


def _check_robot(path: Path, manifest: PolicyManifest) -> None:
    """Raise unless the pipeline can feed the policy and knows what its actions mean."""
    unknown = [name for name in manifest.state_names if name not in STATE_CHANNELS]
    if unknown:
        raise ConfigurationError(
            f'{path}: the policy wants the state {", ".join(unknown)}, '
            f'the robot has {", ".join(STATE_CHANNELS)}; {FIX}'
        )
    actions = (*POSE_CHANNELS, GRIPPER_CHANNEL)
    if manifest.action_names != actions or not manifest.absolute:
        kind = 'absolute' if manifest.absolute else 'relative'
        raise ConfigurationError(
            f'{path}: the policy returns {kind} {", ".join(manifest.action_names)}, '
            f'the robot takes absolute {", ".join(actions)}; {FIX}'
        )
