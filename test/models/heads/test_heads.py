"""What holds for every head."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import nn, Tensor
from torch.nn import functional

from vla_ros.models.export import script
from vla_ros.models.heads.action_tokens import ActionTokenHead
from vla_ros.models.heads.chunk import chunk_actions, ParallelChunkHead
from vla_ros.models.heads.classifier import TaskClassifier
from vla_ros.models.heads.flow_chunk import FlowChunkHead
from vla_ros.models.heads.plan import PlanHead
from vla_ros.models.heads.recurrent_chunk import RecurrentChunkHead
from vla_ros.models.heads.regression import RegressionHead
from vla_ros.models.heads.vqa import VqaHead

WIDTH, HEADS, HORIZON = 16, 2, 3
BOX = ((0.2, -0.3, 0.0), (0.6, 0.3, 0.4))
RANDOM = torch.Generator().manual_seed(5)

TOKENS = torch.randn(4, 5, WIDTH, generator=RANDOM)
MASK = torch.tensor([[True] * 5, [True] * 4 + [False], [True] * 5, [True, False] * 2 + [True]])
CLASSES = torch.tensor([0, 2, 1, 2])
TOKEN_IDS = torch.randint(0, 6, (4, HORIZON, 9), generator=RANDOM)
PLANS = torch.tensor([[1, 2, 0], [2, 0, 0], [3, 1, 2], [0, 0, 0]])
VALUES = torch.randn(4, 2, generator=RANDOM)
DONE = (torch.rand(4, HORIZON, generator=RANDOM) < 0.5).float()
ACTIONS = torch.cat(
    [
        torch.tensor([0.4, 0.0, 0.2]) + 0.15 * (torch.rand(4, HORIZON, 3, generator=RANDOM) - 0.5),
        functional.normalize(
            torch.tensor([1.0, 0, 0, 0]) + 0.3 * torch.randn(4, HORIZON, 4, generator=RANDOM),
            dim=-1,
        ),
        (torch.rand(4, HORIZON, 1, generator=RANDOM) < 0.5).float(),
    ],
    dim=-1,
)


def chunk_loss(head: nn.Module) -> Tensor:
    chunk = head(TOKENS, MASK)
    wrong = (chunk_actions(chunk)[..., :7] - ACTIONS[..., :7]).square().mean()
    chances = torch.stack([chunk.gripper_logit, chunk.termination_logit], dim=-1)
    right = torch.stack([ACTIONS[..., 7], DONE], dim=-1)
    return 10.0 * wrong + functional.binary_cross_entropy_with_logits(chances, right)


def chunk_error(head: nn.Module) -> float:
    chunk = head(TOKENS, MASK)
    done = torch.sigmoid(chunk.termination_logit) - DONE
    return float(torch.cat([chunk_actions(chunk) - ACTIONS, done[..., None]], dim=-1).abs().max())


def flow_loss(head: FlowChunkHead) -> Tensor:
    # Many places of the way at once make it short.
    rows = head.to_rows(ACTIONS, DONE).repeat(8, 1, 1)
    tokens, mask = TOKENS.repeat(8, 1, 1), MASK.repeat(8, 1)
    return head.loss(tokens, mask, rows, RANDOM).mean()


def wrong_share(logits: Tensor, classes: Tensor) -> float:
    return float((logits.argmax(dim=-1) != classes).float().mean())


class Case(NamedTuple):
    """A head, the shapes that it gives, how it learns, how wrong it is and may be after that."""

    build: Callable[[], nn.Module]
    shapes: list[tuple[int, ...]]
    loss: Callable[[nn.Module], Tensor]
    error: Callable[[nn.Module], float]
    allowed: float


CHUNK = [(4, HORIZON, 3), (4, HORIZON, 4), (4, HORIZON), (4, HORIZON)]
CASES = {
    'parallel chunk': Case(
        lambda: ParallelChunkHead(WIDTH, HEADS, HORIZON, *BOX),
        CHUNK,
        chunk_loss,
        chunk_error,
        0.05,
    ),
    'recurrent chunk': Case(
        lambda: RecurrentChunkHead(WIDTH, HEADS, HORIZON, *BOX),
        CHUNK,
        chunk_loss,
        chunk_error,
        0.05,
    ),
    'flow chunk': Case(
        lambda: FlowChunkHead(WIDTH, HEADS, HORIZON, *BOX),
        CHUNK,
        flow_loss,
        chunk_error,
        0.15,
    ),
    'action tokens': Case(
        lambda: ActionTokenHead(WIDTH, HEADS, HORIZON, channels=9, bins=6),
        [(4, HORIZON, 9, 6)],
        lambda head: functional.cross_entropy(
            head(TOKENS, MASK).flatten(0, 2), TOKEN_IDS.flatten()
        ),
        lambda head: wrong_share(head(TOKENS, MASK), TOKEN_IDS),
        0.0,
    ),
    'task': Case(
        lambda: TaskClassifier(WIDTH, HEADS, tasks=3),
        [(4, 3)],
        lambda head: functional.cross_entropy(head(TOKENS, MASK), CLASSES),
        lambda head: wrong_share(head(TOKENS, MASK), CLASSES),
        0.0,
    ),
    'plan': Case(
        lambda: PlanHead(WIDTH, HEADS, length=3, kinds=3),
        [(4, 3, 4), (4, 3)],
        lambda head: functional.cross_entropy(
            head(TOKENS, MASK, PLANS).logits.flatten(0, 1), PLANS.flatten()
        ),
        lambda head: float((head(TOKENS, MASK).steps != PLANS).float().mean()),
        0.0,
    ),
    'vqa': Case(
        lambda: VqaHead(WIDTH, HEADS, answers=3),
        [(4, 3)],
        lambda head: functional.binary_cross_entropy_with_logits(
            head(TOKENS, MASK), functional.one_hot(CLASSES).float()
        ),
        lambda head: wrong_share(head(TOKENS, MASK), CLASSES),
        0.0,
    ),
    'regression': Case(
        lambda: RegressionHead(WIDTH, HEADS, outputs=2),
        [(4, 2)],
        lambda head: (head(TOKENS, MASK) - VALUES).square().mean(),
        lambda head: float((head(TOKENS, MASK) - VALUES).abs().max()),
        0.02,
    ),
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    RANDOM.manual_seed(6)


@pytest.fixture(params=CASES, ids=lambda name: name.replace(' ', '-'))
def case(request) -> Case:
    return CASES[request.param]


def outputs(head: nn.Module, tokens: Tensor = TOKENS, mask: Tensor | None = MASK) -> list[Tensor]:
    with torch.inference_mode():
        out = head(tokens, mask)
    return [out] if isinstance(out, Tensor) else list(out)


def test_shapes_are_as_told_and_every_number_is_finite(case):
    out = outputs(case.build())
    assert [tuple(x.shape) for x in out] == case.shapes
    assert all(x.isfinite().all() for x in out)


def test_masked_tokens_change_nothing(case):
    head = case.build()
    changed = TOKENS.masked_fill(~MASK[..., None], 50.0)
    for before, after in zip(outputs(head), outputs(head, changed), strict=True):
        torch.testing.assert_close(after, before, rtol=0.0, atol=1e-6)


def test_without_any_token_every_number_is_finite_still(case):
    out = outputs(case.build(), mask=torch.zeros_like(MASK))
    assert all(x.isfinite().all() for x in out)


def test_no_mask_means_that_all_is_there(case):
    head = case.build()
    with_mask = outputs(head, mask=torch.ones_like(MASK))
    for before, after in zip(with_mask, outputs(head, mask=None), strict=True):
        torch.testing.assert_close(after, before)


def test_a_batch_of_one_gives_the_row_of_a_larger_one(case):
    head = case.build()
    alone = outputs(head, TOKENS[1:2], MASK[1:2])
    for row, one in zip(outputs(head), alone, strict=True):
        torch.testing.assert_close(one[0], row[1], rtol=0.0, atol=1e-5)


def test_gradients_reach_every_parameter(case):
    head = case.build()
    case.loss(head).backward()
    without = [
        name
        for name, parameter in head.named_parameters()
        # The softmax of attention does not see what is the same for all keys.
        if not name.endswith('to_key.bias')
        and (parameter.grad is None or not parameter.grad.abs().max() > 0.0)
    ]
    assert without == []


def test_it_scripts_and_computes_the_same_then(case):
    script(case.build(), (TOKENS, MASK), 'head')


def test_what_is_saved_and_loaded_computes_the_same(case):
    head, other = case.build(), case.build()
    other.load_state_dict(head.state_dict())
    assert all(map(torch.equal, outputs(head), outputs(other)))


def test_it_learns_one_batch_by_heart(case):
    head = case.build()
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 200)
    with torch.no_grad():
        assert case.error(head) > case.allowed
    for _ in range(200):
        optimiser.zero_grad()
        case.loss(head).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        assert case.error(head) <= case.allowed
