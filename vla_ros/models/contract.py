"""
The contract between a policy and everything that runs it.

Every policy is a scriptable ``nn.Module`` with

    forward(
        image: Tensor,      # (b, c, 3, h, w) uint8 RGB of c cameras
        text: Tensor,       # (b, n, d) float32 token features, padded with zeros
        text_mask: Tensor,  # (b, n) bool, true where there is a token
        state: Tensor,      # (b, s) float32, the manifest's state channels
    ) -> PolicyOutput

Normalisation lives inside the model. The manifest beside the exported file gives every size.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


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
