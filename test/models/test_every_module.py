"""
What holds for every layer, encoder and fusion, whichever it is.

A new module needs a Case here; one that is forgotten fails the first test. Each batch has rows
with everything there, with some of it and with nothing at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
import importlib
import inspect
import io
import pkgutil

import pytest
import torch
from torch import nn

from vla_ros.models.action.continuous import ContinuousActionEncoder
from vla_ros.models.action.discrete import DiscreteActionEncoder
from vla_ros.models.action.sequence import SequenceProcessor
from vla_ros.models.fusion.alone import Alone
from vla_ros.models.fusion.bidirectional import BidirectionalLayer
from vla_ros.models.fusion.exchange import Exchange
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
from vla_ros.models.layers.mixture import MixtureOfExperts
from vla_ros.models.layers.patch import PatchEmbedding
from vla_ros.models.layers.pool import AttentionPool
from vla_ros.models.layers.position import (
    LearnedPosition,
    SinusoidPosition,
    SinusoidPosition2d,
)
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.models.state.proprioception import ProprioceptionEncoder
from vla_ros.models.text.bert import BertConfig, BertEncoder, BertLayer
from vla_ros.models.text.reader import Reader
from vla_ros.models.text.transformer import TextTransformer
from vla_ros.models.vision.conv_map import ConvMap, ResidualBlock
from vla_ros.models.vision.vit import VisionTransformer

PACKAGES = ('layers', 'vision', 'text', 'state', 'action', 'fusion')
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
        lambda: JointTransformer(8, 2, 2, 0.0), ready, [(6, 12, 8), (6, 12), (6, 3, 4), ()]
    ),
    'alone': Case(lambda: Alone(8, 2, 1, 0.0), ready, READY),
    'exchange': Case(lambda: Exchange(8, 2, 0.0), ready, [*READY, (6, 3, 4)]),
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
        [(3, 5, 8), (3, 2, 5, 5), ()],
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
        [(6, t, 8), (6, t), (6, 3, 4), ()],
    )

every = pytest.mark.parametrize('name', CASES)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def made(name, seed=0):
    torch.manual_seed(seed)
    return CASES[name].build().eval()


def given(name):
    torch.manual_seed(1)
    return CASES[name].inputs()


def flat(value):
    """Return all tensors of nested tuples."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def each(function, value):
    """Return the nested tuples with ``function`` applied to every tensor."""
    if isinstance(value, torch.Tensor):
        return function(value)
    parts = [each(function, part) for part in value]
    return type(value)(*parts) if hasattr(value, '_fields') else tuple(parts)


def otherwise(values, mask):
    """Return values that differ wherever the mask hides them."""
    there = mask.reshape(values.shape[:2])
    if not values.is_floating_point():
        return torch.where(there, values, 10 - values)
    return torch.where(there[:, :, None], values, 50.0 * torch.randn_like(values))


def disturbed(name):
    """Return the inputs with everything that is masked changed."""
    arguments = list(given(name))
    for values, mask in CASES[name].masks.items():
        arguments[values] = otherwise(arguments[values], arguments[mask])
    return tuple(
        Tokens(otherwise(*argument), argument.mask) if isinstance(argument, Tokens) else argument
        for argument in arguments
    )


def complete(name):
    """Return the inputs with nothing masked."""
    return each(lambda t: torch.ones_like(t) if t.dtype == torch.bool else t, given(name))


def shown(out):
    """Return the nested tuples with zeros for the Tokens that are masked."""
    if isinstance(out, torch.Tensor):
        return out
    if isinstance(out, Tokens):
        return (out.tokens * out.mask[:, :, None], out.mask)
    return tuple(shown(part) for part in out)


def counted(name, out, inputs):
    """Return the output's tensors, with zeros for tokens that are not there."""
    tensors = flat(shown(out))
    if CASES[name].masked_output is not None:
        there = inputs[CASES[name].masked_output].reshape(tensors[0].shape[:2])
        tensors[0] = tensors[0] * there[:, :, None]
        if tensors[1:] and tensors[1].dim() == 4:
            tensors[1] = tensors[1] * there[:, None, :, None]
    return tensors


def test_no_module_of_the_library_is_forgotten():
    found = set()
    for package in PACKAGES:
        folder = importlib.import_module(f'vla_ros.models.{package}')
        for info in pkgutil.iter_modules(folder.__path__, f'{folder.__name__}.'):
            module = importlib.import_module(info.name)
            found |= {
                value
                for value in vars(module).values()
                if inspect.isclass(value)
                and issubclass(value, nn.Module)
                and value.__module__ == info.name
            }
    assert found == {type(case.build()) for case in CASES.values()}


@every
def test_outputs_have_the_shapes_that_are_promised(name):
    assert [tuple(t.shape) for t in flat(made(name)(*given(name)))] == CASES[name].shapes


@every
def test_nothing_is_nan_or_infinite_even_where_all_is_masked(name):
    assert all(t.isfinite().all() for t in flat(made(name)(*given(name))))


@pytest.mark.parametrize(
    'name', [n for n, c in CASES.items() if c.masks or c.inputs in (modalities, ready)]
)
def test_changing_what_is_masked_changes_nothing(name):
    module, inputs, others = made(name), given(name), disturbed(name)
    assert any(not torch.equal(a, b) for a, b in zip(flat(inputs), flat(others), strict=True))
    before = counted(name, module(*inputs), inputs)
    after = counted(name, module(*others), inputs)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-6)


@every
def test_gradients_reach_every_parameter(name):
    module = made(name)
    outputs = [t for t in flat(module(*given(name))) if t.requires_grad]
    loss = sum((t * torch.randn_like(t)).sum() for t in outputs)
    if outputs:
        loss.backward()
    for parameter, value in module.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
        # What is added to all keys alike does not change a softmax over them.
        if not parameter.endswith('key.bias'):
            assert value.grad.abs().max() > 0.0, parameter


@every
def test_scripted_saved_and_loaded_it_computes_the_same(name):
    module, inputs, file = made(name), given(name), io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    for one, other in zip(flat(module(*inputs)), flat(loaded(*inputs)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@every
def test_its_weights_make_any_other_instance_the_same(name):
    one, other, inputs = made(name, seed=0), made(name, seed=5), given(name)
    other.load_state_dict(one.state_dict())
    for a, b in zip(flat(one(*inputs)), flat(other(*inputs)), strict=True):
        assert torch.equal(a, b)


@every
def test_a_batch_of_one_gives_what_its_row_gives_in_a_larger_batch(name):
    module, inputs = made(name), given(name)
    whole = flat(module(*inputs))
    rows = flat(inputs)[0].shape[0]
    for row in range(rows):
        alone = flat(module(*each(lambda t, row=row: t[row : row + 1], inputs)))
        for one, other in zip(alone, whole, strict=True):
            if other.dim() and other.shape[0] == rows:
                torch.testing.assert_close(one, other[row : row + 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'name', [n for n, c in CASES.items() if c.learns and list(c.build().parameters())]
)
def test_it_learns_one_batch_by_heart(name):
    module, inputs = made(name), complete(name)
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    first = flat(module(*inputs))[0].flatten(1)
    # A fixed reading of the output, so that the module itself has to learn.
    reading = torch.randn(first.shape[1]) / first.shape[1] ** 0.5
    target = torch.linspace(-1.0, 1.0, first.shape[0])
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(300):
        loss = (flat(module(*inputs))[0].flatten(1) @ reading - target).square().mean()
        if loss < 1e-3:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-3
