"""
The contract between a policy and everything that runs it.

Every policy is a scriptable ``PolicyModule`` with

    forward(
        image: Tensor,      # (b, c, 3, h, w) uint8 RGB of c cameras
        text: Tensor,       # (b, n, d) float32 token features, padded with zeros
        text_mask: Tensor,  # (b, n) bool, true where there is a token
        state: Tensor,      # (b, s) float32, the manifest's state channels
    ) -> PolicyOutput

Normalisation lives inside the model. The manifest beside the exported file gives every size.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn, Tensor

from vla_ros.models.layers.gaze import Looks
from vla_ros.pipeline.manifest import Normalisation, PolicyManifest

#: Where the gripper of ``example_inputs`` is, m, and that it points down; what is left out is 0.
_EXAMPLE_STATE = {'position.x': 0.45, 'position.z': 0.15, 'orientation.x': 1.0}


class PolicyOutput(NamedTuple):
    """
    What a policy returns, float32; a NamedTuple because TorchScript keeps its field names.

    ``actions`` (b, k, a): row i is for i * dt_s after the image, in the manifest's action
    channels; ``termination`` (b, k): probability that the task is done; ``task_logits`` (b, t)
    over the manifest's tasks; ``attention`` (b, n, gh, gw): plane i is how much text token i
    looks at each image cell, or saliency where the manifest says so; not negative.
    """

    actions: Tensor
    termination: Tensor
    task_logits: Tensor
    attention: Tensor


@dataclass(frozen=True)
class Traits:
    """
    What the manifest tells of a policy beside its sizes.

    ``grid``: rows and columns of the attention; ``attention``: what that is, one of
    ``ATTENTION_KINDS``; ``normalisation``: what the model does to RGB in 0..1.
    """

    grid: tuple[int, int]
    attention: str
    normalisation: Normalisation


class Learned(NamedTuple):
    """What a policy returns in training: further ``losses`` () by name, and where it looked."""

    output: PolicyOutput
    losses: dict[str, Tensor]
    looks: Looks | None = None


class PolicyModule(nn.Module):
    """What a policy is to those who train and export it; ``forward`` is above."""

    def traits(self) -> Traits:
        raise NotImplementedError(f'{type(self).__name__} does not tell its traits')

    def learn(
        self,
        image: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: Tensor,
        actions: Tensor,
        done: Tensor,
    ) -> Learned:
        """
        Return what ``forward`` does for r commands about f images, and what teaches besides.

        r is a multiple of f, and the rows of one image stand together. ``actions`` (r, k, a) and
        ``done`` (r, k) in 0..1 were demonstrated, NaN where nobody knows. Only for training: a
        policy that knows more of how it is to be taught than the contract does says so here.
        """
        images = image.repeat_interleave(len(text) // len(image), dim=0)
        return Learned(self(images, text, text_mask, state), {})


def example_inputs(manifest: PolicyManifest, batch: int = 1) -> tuple[Tensor, ...]:
    """
    Return inputs of the manifest's shapes, the same at every call: noise, met over the table.

    All text tokens but the last are present, so that the mask is put to use. Most noise is refused
    by a policy that can refuse: some 16 rows are wanted to see it move.
    """
    random = torch.Generator().manual_seed(0)
    n = manifest.text_encoder.max_tokens
    size = (batch, len(manifest.cameras), 3, manifest.image_height, manifest.image_width)
    image = torch.randint(0, 256, size, dtype=torch.uint8, generator=random)
    text = torch.randn((batch, n, manifest.text_width), generator=random)
    mask = torch.arange(n).expand(batch, n) < max(1, n - 1)
    state = torch.tensor([_EXAMPLE_STATE.get(name, 0.0) for name in manifest.state_names])
    return image, text * mask[:, :, None], mask, state.repeat(batch, 1)


def check_output(output: object, manifest: PolicyManifest, batch: int = 1) -> PolicyOutput:
    """Return ``output`` if it is what the manifest promises; raises ValueError with the reason."""
    if getattr(output, '_fields', None) != PolicyOutput._fields:
        raise ValueError(
            f'forward returns {type(output).__name__}, '
            f'expected a NamedTuple of {", ".join(PolicyOutput._fields)}'
        )
    shapes = (
        (batch, manifest.horizon, len(manifest.action_channels)),
        (batch, manifest.horizon),
        (batch, len(manifest.tasks)),
        (batch, manifest.text_encoder.max_tokens, *manifest.grid),
    )
    checked = PolicyOutput(*output)  # type: ignore[misc]
    for name, value, shape in zip(PolicyOutput._fields, checked, shapes, strict=True):
        if value.shape != shape or value.dtype != torch.float32:
            raise ValueError(
                f'{name} is {value.dtype} {list(value.shape)}, '
                f'expected torch.float32 {list(shape)} by the manifest'
            )
        if not bool(value.isfinite().all()):
            raise ValueError(f'{name} is not finite')
    return checked
