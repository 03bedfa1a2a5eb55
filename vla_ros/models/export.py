"""
The only writer of TorchScript files and their manifests.

A module is scripted, not traced, so that its control flow survives; compared with itself; and
written so that a reader sees the old pair of files or the new one is refused by its hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
import hashlib
import io
import math
import os
from pathlib import Path
import tempfile
from typing import Any
import warnings

import torch
from torch import nn, Tensor

from vla_ros.errors import ConfigurationError
from vla_ros.models.contract import check_output, example_inputs
from vla_ros.pipeline.manifest import (
    manifest_path,
    POLICY_FORMAT,
    PolicyManifest,
    read_manifest,
    TEXT_ENCODER_FORMAT,
    TextEncoderManifest,
    to_json,
)

#: Scripted and eager results may differ by so much, times their largest value if above 1.
PARITY = 1e-5
#: Of a manifest, what the writer of the file finds out.
_OF_THE_FILE = ('format_version', 'sha256', 'size_bytes', 'backend')


def export_policy(
    module: nn.Module, manifest_fields: Mapping[str, Any], path: str | Path
) -> PolicyManifest:
    """
    Write a policy and its manifest; return the manifest.

    ``manifest_fields`` are those that ``fields_of`` returns.
    Raises ConfigurationError if the fields are wrong, or the module cannot be scripted, does not
    keep the contract, or computes something else when scripted.
    """
    path = Path(path)
    try:
        draft = PolicyManifest(
            format_version=POLICY_FORMAT, sha256='0' * 64, size_bytes=1, **manifest_fields
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f'{path}: the manifest would be wrong: {error}') from error
    inputs = example_inputs(draft, batch=2)
    data = script(module, inputs, path)
    try:
        with torch.inference_mode():
            check_output(module(*inputs), draft, batch=2)
    except ValueError as error:
        raise ConfigurationError(f'{path}: {error}; change the model or the manifest') from error
    manifest = replace(draft, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    write_atomically(manifest_path(path), to_json(manifest).encode())
    return manifest


def fields_of(manifest: PolicyManifest) -> dict[str, Any]:
    """Return what ``export_policy`` is given to write a file with this manifest."""
    kept = (f.name for f in fields(manifest) if f.name not in _OF_THE_FILE)
    return {name: getattr(manifest, name) for name in kept}


def write_metrics(path: str | Path, metrics: Mapping[str, float]) -> PolicyManifest:
    """Record what a policy was measured to do in its manifest; return the new manifest."""
    manifest = replace(read_manifest(path), metrics=dict(metrics))
    write_atomically(manifest_path(path), to_json(manifest).encode())
    return manifest


def export_text_encoder(
    module: nn.Module, tokenizer: bytes, manifest_fields: Mapping[str, Any], path: Path
) -> TextEncoderManifest:
    """
    Write a text encoder, its ``tokenizer.json`` and its manifest; return the manifest.

    ``manifest_fields``: id, weights_sha256, width, licence. Raises OSError if the
    folder cannot be written, ConfigurationError if the module cannot be scripted.
    """
    token_ids = torch.arange(8).reshape(2, 4)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    data = script(module, (token_ids, mask), path)
    manifest = TextEncoderManifest(
        format_version=TEXT_ENCODER_FORMAT,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        tokenizer_sha256=hashlib.sha256(tokenizer).hexdigest(),
        **manifest_fields,
    )
    write_atomically(path, data)
    write_atomically(path.with_name('tokenizer.json'), tokenizer)
    write_atomically(manifest_path(path), to_json(manifest).encode())
    return manifest


def script(module: nn.Module, inputs: tuple[Tensor, ...], name: str | Path) -> bytes:
    """
    Return the TorchScript file of ``module``, checked on ``inputs`` against the module itself.

    Raises ConfigurationError, with ``name`` in front, if it cannot be scripted or differs.
    """
    module = module.cpu().eval()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter('ignore', DeprecationWarning)
            scripted = torch.jit.script(module)
            buffer = io.BytesIO()
            torch.jit.save(scripted, buffer)
            eager, got = module(*inputs), scripted(*inputs)
    except Exception as error:  # whatever the compiler or the model's own code raises
        raise ConfigurationError(f'{name}: the model cannot be exported: {error}') from error
    pair = ((eager,), (got,)) if isinstance(eager, Tensor) else (eager, got)
    difference = largest_difference(*pair)
    if not difference <= PARITY:
        raise ConfigurationError(
            f'{name}: the exported model differs from the module by {difference:.1e}, '
            f'allowed {PARITY:.0e}; does its forward depend on anything but its inputs?'
        )
    return buffer.getvalue()


def largest_difference(wanted: Sequence[Tensor], got: Sequence[Tensor]) -> float:
    """
    Return the largest difference of any output, by its share of what is wanted if above 1.

    It is infinite between outputs of different shapes, and NaN where one is not a number.
    """
    if [value.shape for value in wanted] != [value.shape for value in got]:
        return math.inf
    shares = [
        (one - other).abs().max() / one.abs().max().clamp(min=1.0)
        for one, other in zip(wanted, got, strict=True)
    ]
    # Unlike Python's, this maximum keeps what is not a number.
    return float(torch.stack(shares).max())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is seen whole or not at all; raises OSError and leaves nothing then."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(descriptor, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner reads; a model is as public as its folder.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def freeze(module: Any) -> Any:
    """Return a loaded TorchScript module with its weights as constants, for CPU inference only."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        return torch.jit.freeze(module)
