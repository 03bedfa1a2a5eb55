"""Every layer, encoder and fusion with small inputs: rows with everything, some of it, nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from vla_ros.models.action.continuous import ContinuousActionEncoder
from vla_ros.models.action.discrete import DiscreteActionEncoder
from vla_ros.models.action.sequence import SequenceProcessor
from vla_ros.models.fusion.alone import Alone
from vla_ros.models.fusion.bidirectional import BidirectionalLayer
from vla_ros.models.fusion.exchange import Exchange, ExchangeStack
from vla_ros.models.fusion.joint import JointTransformer
from vla_ros.models.fusion.mixture import MixtureBlock
from vla_ros.models.fusion.perceiver import PerceiverLayer
from vla_ros.models.fusion.registry import build_fusion, fusion_names
from vla_ros.models.fusion.tokens import Entrance, Tokens
from vla_ros.models.layers.additive_attention import AdditiveAttention
from vla_ros.models.layers.attention import MultiHeadAttention
from vla_ros.models.layers.block import CrossBlock, PreNormBlock
from vla_ros.models.layers.feed_forward import FeedForward
from vla_ros.models.layers.film import FilmMlp
from vla_ros.models.layers.gate import ConditionalGate
from vla_ros.models.layers.gaze import Gaze
from vla_ros.models.layers.mixture import MixtureOfExperts
from vla_ros.models.layers.patch import PatchEmbedding
from vla_ros.models.layers.pool import AttentionPool
from vla_ros.models.layers.position import (
    LearnedPosition,
    SinusoidPosition,
    SinusoidPosition2d,
)
from vla_ros.models.layers.prefix import PrefixBlock, PrefixTransformer
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.models.state.proprioception import ProprioceptionEncoder
from vla_ros.models.text.bert import BertConfig, BertEncoder, BertLayer
from vla_ros.models.text.reader import Reader, WordEncoder
from vla_ros.models.text.transformer import TextTransformer
from vla_ros.models.vision.conv_map import ConvMap, ResidualBlock
from vla_ros.models.vision.vit import VisionTransformer

BERT = BertConfig(
    vocabulary=11, positions=7, width=8, feedforward=16, layers=1, heads=2, epsilon=1e-12
)


@dataclass(frozen=True)
class Case:
    """
    A module, what it takes, and the shapes of what it gives.

    ``masks`` pairs the place of an argument with that of its mask; Tokens have theirs in them.
    Where ``masked_output``, the first output has rows for masked tokens too, which may be
    anything. ``learns`` says whether its parameters can tell the rows of a batch apart.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[[], tuple]
    shapes: list[tuple[int, ...]]
    masks: dict[int, int] = field(default_factory=dict)
    masked_output: int | None = None
    learns: bool = True


MASK = torch.tensor([[True] * 5, [True, True, True, False, False], [False] * 5])


def tokens(n=5, width=8):
    return torch.randn(3, n, width)


def image(h=8, w=8):
    return torch.randn(3, 3, h, w)


def modalities():
    """Rows: all there, some of it, no vision, no text, no state, nothing."""
    seen, said, felt = (torch.ones(6, n).bool() for n in (4, 3, 2))
    seen[1, 3] = said[1, 1] = felt[1, 0] = False
    seen[2] = said[3] = felt[4] = False
    seen[5] = said[5] = felt[5] = False
    return tuple(Tokens(torch.randn(*mask.shape, 8), mask) for mask in (seen, said, felt))


def ready():
    """What an entrance hands on: three parts whose first token stands for a missing modality."""
    parts = []
    for _, there in modalities():
        mask = torch.cat([~there.any(dim=1, keepdim=True), there], dim=1)
        parts.append(Tokens(torch.randn(*mask.shape, 8), mask))
    return tuple(parts)


READY = [(6, 5, 8), (6, 5), (6, 4, 8), (6, 4), (6, 3, 8), (6, 3)]

CASES = {
    'attention': Case(
        lambda: MultiHeadAttention(8, 2, context_width=6),
        lambda: (tokens(4), tokens(5, 6), MASK),
        [(3, 4, 8), (3, 2, 4, 5)],
        masks={1: 2},
    ),
    'additive attention': Case(
        lambda: AdditiveAttention(8, 2, context_width=6),
        lambda: (tokens(4), tokens(5, 6), MASK),
        [(3, 4, 8), (3, 2, 4, 5)],
        masks={1: 2},
    ),
    'feed-forward': Case(lambda: FeedForward(8, 16), lambda: (tokens(),), [(3, 5, 8)]),
    'pre-norm block': Case(
        lambda: PreNormBlock(8, 2),
        lambda: (tokens(), MASK),
        [(3, 5, 8)],
        masks={0: 1},
        masked_output=1,
    ),
    'cross block': Case(
        lambda: CrossBlock(8, 2),
        lambda: (tokens(4), tokens(), MASK),
        [(3, 4, 8), (3, 2, 4, 5)],
        masks={1: 2},
    ),
    'prefix block': Case(
        lambda: PrefixBlock(8, 2),
        lambda: (
            tokens(4),
            tokens().repeat(1, 1, 2),
            torch.cat([MASK, torch.ones(3, 4).bool()], dim=1),
        ),
        [(3, 4, 8), (3, 9, 16)],
    ),
    'prefix transformer': Case(
        lambda: PrefixTransformer(8, 2, 2),
        lambda: (tokens(), MASK, tokens(4)),
        [(3, 4, 8), (3, 2, 4, 9)],
        masks={0: 1},
    ),
    'attention pool': Case(
        lambda: AttentionPool(8, 2, queries=2),
        lambda: (tokens(), MASK),
        [(3, 2, 8), (3, 2, 2, 5)],
        masks={0: 1},
    ),
    'mixture of experts': Case(
        lambda: MixtureOfExperts(8, 16, experts=4),
        lambda: (tokens(), MASK),
        [(3, 5, 8), (), (3,), (4,)],
        masks={0: 1},
    ),
    'mixture, one choice': Case(
        lambda: MixtureOfExperts(8, 16, experts=2, top_k=1, capacity=1.0),
        lambda: (tokens(), MASK),
        [(3, 5, 8), (), (3,), (2,)],
        masks={0: 1},
    ),
    'conditional gate': Case(
        lambda: ConditionalGate(8, 6),
        lambda: (tokens(), torch.randn(3, 6)),
        [(3, 5, 8), (3, 5, 8)],
    ),
    'film': Case(
        lambda: FilmMlp(8, 4, 16, 2), lambda: (torch.randn(3, 8), torch.randn(3, 4)), [(3, 2)]
    ),
    'sinusoid': Case(lambda: SinusoidPosition(8), lambda: (tokens(),), [(3, 5, 8)]),
    'sinusoid 2d': Case(
        lambda: SinusoidPosition2d(8), lambda: (torch.randn(3, 2, 4, 8),), [(3, 2, 4, 8)]
    ),
    'learned position': Case(
        lambda: LearnedPosition(5, 8), lambda: (tokens(),), [(3, 5, 8)], learns=False
    ),
    'patches': Case(lambda: PatchEmbedding(4, 8), lambda: (image(),), [(3, 2, 2, 8)]),
    'straight move': Case(
        lambda: StraightMove(4, 0.1, 0.2, 0.5),
        lambda: (torch.randn(3, 8), torch.randn(3, 3), torch.randn(3), torch.rand(3)),
        [(3, 4, 8)],
    ),
    'gaze': Case(
        lambda: Gaze(8, torch.linspace(0.0, 1.0, 12).view(6, 2), rows=2, columns=3),
        lambda: (torch.rand(3, 5, 6), Tokens(tokens(), MASK), tokens(6)),
        [(3, 3, 6), (3, 3, 2), (3, 3, 8)],
        learns=False,
    ),
    'conv map': Case(lambda: ConvMap(8), lambda: (image(16, 8),), [(3, 8, 4, 2)]),
    'residual block': Case(lambda: ResidualBlock(3), lambda: (image(),), [(3, 3, 8, 8)]),
    'vit': Case(
        lambda: VisionTransformer(4, 8, 2, 2), lambda: (image(8, 12),), [(3, 8), (3, 2, 3, 8)]
    ),
    'vit, odd size': Case(
        lambda: VisionTransformer(4, 8, 2, 1), lambda: (image(7, 9),), [(3, 8), (3, 2, 3, 8)]
    ),
    'bert layer': Case(
        lambda: BertLayer(BERT),
        lambda: (tokens(), MASK[:, None, None]),
        [(3, 5, 8)],
        masks={0: 1},
        masked_output=1,
    ),
    'bert': Case(
        lambda: BertEncoder(BERT),
        lambda: (torch.randint(0, 11, (3, 5)), MASK),
        [(3, 5, 8)],
        masks={0: 1},
        masked_output=1,
    ),
    'text transformer': Case(
        lambda: TextTransformer(11, 8, 2, 2),
        lambda: (torch.randint(0, 11, (3, 5)), MASK),
        [(3, 5, 8)],
        masks={0: 1},
    ),
    'reader': Case(
        lambda: Reader(6, (2, 3, 4, 5), 8, 2),
        lambda: (tokens(5, 6), MASK),
        [(3, 2), (3, 3), (3, 4), (3, 5), (3, 4, 5)],
        masks={0: 1},
    ),
    'word encoder': Case(
        lambda: WordEncoder(6, 8, 2, dropout=0.0),
        lambda: (tokens(5, 6), MASK),
        [(3, 5, 8)],
        masks={0: 1},
        masked_output=1,
    ),
    'proprioception': Case(
        lambda: ProprioceptionEncoder([0.1] * 8, [2.0] * 8, 8, quaternion=3),
        lambda: (torch.randn(3, 8),),
        [(3, 1, 8)],
    ),
    'continuous actions': Case(
        lambda: ContinuousActionEncoder([0.1] * 8, [2.0] * 8, 8, quaternion=3),
        lambda: (torch.randn(3, 4, 8),),
        [(3, 4, 8)],
    ),
    'discrete actions': Case(
        lambda: DiscreteActionEncoder(3, 11, 8),
        lambda: (torch.randint(0, 11, (3, 4, 3)),),
        [(3, 12, 8)],
    ),
    'sequence': Case(
        lambda: SequenceProcessor(8, 2, 2), lambda: (tokens(), MASK), [(3, 5, 8)], masks={0: 1}
    ),
    'entrance': Case(
        lambda: Entrance(8),
        modalities,
        READY,
        learns=False,
    ),
    'joint transformer': Case(
        lambda: JointTransformer(8, 2, 2, 0.0), ready, [(6, 12, 8), (6, 12), (6, 3, 4), (), (6,)]
    ),
    'alone': Case(lambda: Alone(8, 2, 1, 0.0), ready, READY),
    'exchange': Case(lambda: Exchange(8, 2, 0.0), ready, [*READY, (6, 3, 4)]),
    'exchange stack': Case(
        lambda: ExchangeStack(8, [Exchange(8, 2, 0.0)]),
        modalities,
        [(6, 12, 8), (6, 12), (6, 3, 4), (), (6,)],
    ),
    'perceiver layer': Case(
        lambda: PerceiverLayer(8, 2, 0.0),
        lambda: (tokens(4), tokens(), MASK),
        [(3, 4, 8), (3, 2, 4, 5)],
        masks={1: 2},
    ),
    'bidirectional layer': Case(lambda: BidirectionalLayer(8, 2, 0.0), ready, [*READY, (6, 3, 4)]),
    'mixture block': Case(
        lambda: MixtureBlock(8, 2, 0.0, experts=4, top_k=2, capacity=1.5),
        lambda: (tokens(), MASK),
        [(3, 5, 8), (), (3,), (4,)],
        masks={0: 1},
        masked_output=1,
    ),
}
#: Fusions that do not give all 4 + 3 + 2 tokens and the 3 that stand for missing modalities.
FEWER = {'late': 1, 'perceiver': 16}
for name in fusion_names():
    t = FEWER.get(name, 12)
    CASES[f'{name} fusion'] = Case(
        lambda name=name: build_fusion(name, 8, {'heads': 2}),
        modalities,
        [(6, t, 8), (6, t), (6, 3, 4), (), (6,)],
    )
