"""
Policies for other runtimes, from the network that TorchScript was made of.

Each file is loaded as the graph will load it, and compared with the network, before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
import hashlib
import logging
from pathlib import Path
import tempfile
from typing import Any
import warnings

import torch
from torch import nn, Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import example_inputs, PolicyOutput
from vla_ros.models.export import largest_difference, PARITY, script, write_atomically
from vla_ros.pipeline.backends import one_line
from vla_ros.pipeline.backends.onnx_file import INPUTS, OUTPUTS
from vla_ros.pipeline.manifest import BACKENDS, manifest_path, PolicyManifest, to_json
from vla_ros.pipeline.policy import load_policy

#: A file is compared with its network on so much noise, if on nothing better; and on one row of
#: it, for a fixed batch would not do.
_ROWS = 16
#: Of the largest batch: several robots share a policy.
_MAX_BATCH = 64


def convert(
    module: nn.Module,
    manifest: PolicyManifest,
    form: str,
    path: Path,
    tolerance: float | None = None,
    inputs: tuple[Tensor, ...] | None = None,
) -> PolicyManifest:
    """
    Write ``module``, the network of ``manifest``, in one of ``FORMATS`` with a manifest beside it.

    ``inputs``, some rows of what the policy is given, are those that both are compared on: noise
    if None, which most policies refuse, or are undecided about. The metrics that are written are
    that difference alone: what else was measured is of another file.
    Raises ConfigurationError, and writes nothing, if ``path`` has the wrong suffix or its manifest
    is another policy's, the network cannot be converted, or computes something else by more than
    ``tolerance`` (see ``difference``; None: the format's own).
    """
    chosen = FORMATS[form]
    suffix = BACKENDS[chosen.backend]
    if path.suffix != suffix:
        raise ConfigurationError(f'{path}: got {path.suffix or "no suffix"}, expected {suffix}')
    others = [path.with_suffix(s) for s in BACKENDS.values() if s != suffix]
    if taken := [other for other in others if other.exists()]:
        raise ConfigurationError(
            f'{path}: its manifest would replace that of {taken[0]}; choose another name'
        )
    module = module.cpu().eval()
    try:
        with _quiet():
            data = chosen.write(module, example_inputs(manifest, batch=2))
    except (ConfigurationError, ModuleNotFoundError):
        raise
    except Exception as error:  # whatever an exporter or a compiler raises
        raise ConfigurationError(
            f'{path}: the policy cannot be written as {form}: {one_line(error)}'
        ) from error
    written = replace(
        manifest,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        backend=chosen.backend,
        metrics={},
    )
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, path.name)
        _write(trial, data, written)
        loaded = load_policy(trial).module
    allowed = chosen.tolerance if tolerance is None else tolerance
    every = example_inputs(manifest, _ROWS) if inputs is None else inputs
    one = tuple(value[:1] for value in every)
    found = max(_compare(loaded, module, rows) for rows in (one, every))
    if not found <= allowed:
        raise ConfigurationError(
            f'{path}: as {form} it differs from the network by {found:.1e}, allowed '
            f'{allowed:.0e}; nothing was written'
        )
    written = replace(written, metrics={'export_difference': found})
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, data, written)
    return written


def difference(ours: PolicyOutput, theirs: PolicyOutput) -> float:
    """
    Return the largest difference of anything that a policy returns, task logits as probabilities.

    Actions are in m and such; what is above 1 counts by its share of ``theirs``.
    """
    ours = ours._replace(task_logits=ours.task_logits.softmax(dim=-1))
    theirs = theirs._replace(task_logits=theirs.task_logits.softmax(dim=-1))
    return largest_difference(theirs, ours)


def _compare(loaded: Any, module: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    with torch.no_grad():
        return difference(loaded(*inputs), module(*inputs))


def _write(path: Path, data: bytes, manifest: PolicyManifest) -> None:
    write_atomically(path, data)
    write_atomically(manifest_path(path), to_json(manifest).encode())


class _Plain(nn.Module):
    """The network with a plain tuple as output, which every exporter knows."""

    def __init__(self, policy: nn.Module) -> None:
        super().__init__()
        self.policy = policy

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> tuple[Tensor, ...]:
        return tuple(self.policy(image, text, text_mask, state))


def _program(module: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    batch = torch.export.Dim('batch', min=1, max=_MAX_BATCH)
    shapes = tuple({0: batch} for _ in inputs)
    with torch.no_grad():
        return torch.export.export(_Plain(module).eval(), inputs, dynamic_shapes=shapes)


def _torchscript(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    return script(module, inputs, 'torchscript')


def _aotinductor(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    # The number of threads is chosen where it runs; weights are laid out for this processor.
    options = {'cpp.dynamic_threads': True, 'freezing': True}
    with tempfile.TemporaryDirectory() as folder:
        made = torch._inductor.aoti_compile_and_package(
            _program(module, inputs),
            package_path=str(Path(folder, 'policy.pt2')),
            inductor_configs=options,
        )
        return Path(made).read_bytes()


def _onnx(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    return _onnx_model(module, inputs).SerializeToString()


def _int8(module: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    """Quantise the matrices; convolutions lose more by it than they gain."""
    from onnxruntime.quantization import quantize_dynamic

    model = _onnx_model(module, inputs)
    del model.graph.value_info[:]  # shapes that quantising makes wrong
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'policy.onnx')
        quantize_dynamic(model, path, op_types_to_quantize=['MatMul', 'Gemm'])
        return path.read_bytes()


def _onnx_model(module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    import onnxscript  # noqa: F401  # torch would only say that something is missing

    program = torch.onnx.export(
        _program(module, inputs),
        inputs,
        input_names=INPUTS,
        output_names=OUTPUTS,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters tell their own developers from the user."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(logging.NOTSET)


@dataclass(frozen=True)
class Format:
    """How a policy is written for ``backend``, and how much may come out otherwise."""

    backend: str
    tolerance: float
    write: Callable[[nn.Module, tuple[Tensor, ...]], bytes]


#: Convolutions and sums are done in another order by each; int8 has 256 values for a weight.
FORMATS = {
    'torchscript': Format('torchscript', PARITY, _torchscript),
    'pt2': Format('aotinductor', 1e-4, _aotinductor),
    'onnx': Format('onnxruntime', 1e-4, _onnx),
    'openvino': Format('openvino', 1e-4, _onnx),
    'int8': Format('onnxruntime', 5e-2, _int8),
}
