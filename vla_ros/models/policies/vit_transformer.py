"""
The plain recipe: a ViT, a pretrained sentence encoder, and one transformer over all their tokens.

With ``head: chunk`` it is ACT (Zhao et al. 2023) with a command: learned queries read a whole
chunk from the tokens. By default it tells one waypoint, as a policy for a fusion does.
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.models.policies.fusion_policy import FusionConfig, FusionPolicy
from vla_ros.models.registry import PolicySpec, register_policy


@dataclass(frozen=True)
class VitTransformerConfig(FusionConfig):
    """Wider than a policy for a fusion, and it sees by a ViT."""

    vision: str = 'vit'
    width: int = 128


@register_policy('vit_transformer', VitTransformerConfig)
class VitTransformerPolicy(FusionPolicy):
    """See the module; scriptable, under the policy contract."""

    def __init__(self, spec: PolicySpec, config: VitTransformerConfig) -> None:
        super().__init__('early', spec, config)
