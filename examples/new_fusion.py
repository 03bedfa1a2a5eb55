"""
A fusion of one's own: modalities exchange what they know through a few bottleneck tokens only.

The attention bottlenecks of Nagrani et al. (2021). Once it is registered there is a policy of its
name. This is ``vla-ros zoo`` with it:

    python -m examples.new_fusion --policies bottleneck,early --out out/zoo.md
"""

import sys

import torch
from torch import nn

from vla_ros.models.fusion.alone import Alone
from vla_ros.models.fusion.registry import register_fusion
from vla_ros.models.fusion.tokens import all_joined, at_least_one, Entrance, Fused, fused, Tokens
from vla_ros.models.layers.block import CrossBlock


@register_fusion('bottleneck')
class BottleneckFusion(nn.Module):
    """Gives every token of every modality; words look where the bottlenecks do that they ask."""

    def __init__(
        self, width: int, heads: int = 4, layers: int = 2, dropout: float = 0.0, few: int = 4
    ) -> None:
        super().__init__()
        blocks = range(at_least_one(layers))
        self.entrance = Entrance(width)
        self.alone = Alone(width, heads, layers, dropout)
        self.bottleneck = nn.Parameter(torch.randn(few, width) * 0.1)
        self.gather = nn.ModuleList([CrossBlock(width, heads, dropout) for _ in blocks])
        self.spread = nn.ModuleList([CrossBlock(width, heads, dropout) for _ in blocks])
        self.norm = nn.LayerNorm(width)

    def forward(self, vision: Tokens, text: Tokens, state: Tokens) -> Fused:
        seen, said, felt = self.entrance(vision, text, state)
        seen, said, felt = self.alone(seen, said, felt)
        x, mask = all_joined(seen, said, felt)
        few = self.bottleneck.expand(x.shape[0], -1, -1)
        looks, asks = few, few
        for gather, spread in zip(self.gather, self.spread):  # noqa: B905, TorchScript has no strict
            few, looks = gather(few, x, mask)  # (b, h, few, tokens)
            x, asks = spread(x, few)  # (b, h, tokens, few)
        cells, words = seen.mask.shape[1], said.mask.shape[1]
        at_cells = looks.float().mean(dim=1)[:, :, 1:cells]
        of_words = asks.float().mean(dim=1)[:, cells + 1 : cells + words] * text.mask[:, :, None]
        attention = (of_words[:, :, :, None] * at_cells[:, None]).sum(dim=2)  # (b, n, c)
        return fused(self.norm(x), mask, attention)


if __name__ == '__main__':
    from vla_ros.cli import main

    sys.exit(main(['zoo', *sys.argv[1:]]))
