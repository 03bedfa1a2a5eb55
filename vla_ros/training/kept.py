"""What a policy sees and reads with, as another policy has learned it: it only learns the rest."""

from __future__ import annotations

from pathlib import Path
import shutil

import torch
from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.models.part import Part
from vla_ros.models.text.reader import ReadsWords
from vla_ros.models.vision.conv_map import ConvMap
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import manifest_path, read_manifest
from vla_ros.pipeline.policy import load_policy

#: ``parts_of`` of the policy that the package brings.
SHIPPED = 'shipped'
#: What holds a part in the policy that it is taken of, by what the part is.
_HOLDERS: dict[type[Part], str] = {ConvMap: 'vision', ReadsWords: 'reader'}


def source_path(folder: Path) -> Path:
    """Return where a run keeps the policy whose parts it has."""
    return folder / 'parts.pt'


def source_of(parts_of: str, folder: Path) -> Path:
    """Return the policy that a run in a folder takes parts of: its own copy, if it has one yet."""
    copy = source_path(folder)
    if copy.exists():
        return copy
    return shipped_policy_path() if parts_of == SHIPPED else Path(parts_of)


def bring_source(parts_of: str, folder: Path) -> None:
    """
    Copy the policy that parts are taken of into a run's folder, unless it is there.

    So a run goes on with the same parts when the package has got another policy meanwhile. Raises
    ConfigurationError if there is no such policy, or it is not TorchScript.
    """
    target = source_path(folder)
    if not parts_of or target.exists():
        return
    path = source_of(parts_of, folder)
    _torchscript(path)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(manifest_path(path), manifest_path(target))
    shutil.copyfile(path, target)


def keep_parts(policy: nn.Module, path: Path) -> None:
    """
    Give the policy the parts of the one at ``path`` that it has as well, never to be changed.

    Raises ConfigurationError if that one is not there or not TorchScript, or has no such part, or
    one of another size.
    """
    weights = _torchscript(path).state_dict()
    for part in policy.modules():
        if not isinstance(part, Part):
            continue
        kind, holder = next((k, h) for k, h in _HOLDERS.items() if isinstance(part, k))
        begins = f'{holder}.'
        try:
            part.keep(
                {k.removeprefix(begins): v for k, v in weights.items() if k.startswith(begins)}
            )
        except RuntimeError as error:
            raise ConfigurationError(
                f'parts_of: {read_manifest(path).name} has no {kind.__name__} of the size that '
                'this policy wants; give a keypoint policy of the same image_width and text_width'
            ) from error


def _torchscript(path: Path) -> nn.Module:
    policy = load_policy(path, torch.get_num_threads())
    if policy.manifest.backend != 'torchscript':
        raise ConfigurationError(
            f'parts_of: {path} was exported for {policy.manifest.backend}; give the TorchScript '
            'file'
        )
    assert isinstance(policy.module, nn.Module)
    return policy.module


def told(path: Path) -> str:
    """Return which policy the parts are of."""
    manifest = read_manifest(path)
    return f'{manifest.name}, sha256 {manifest.sha256[:12]}'
