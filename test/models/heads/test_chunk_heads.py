import pytest
import torch

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.heads.chunk import (
    BoundedRows,
    chunk_actions,
    ParallelChunkHead,
    unit_quaternion,
)
from vla_ros.models.heads.flow_chunk import FlowChunkHead
from vla_ros.models.heads.recurrent_chunk import RecurrentChunkHead
from vla_ros.training.losses.rows import chance_loss
from vla_ros.training.recipes.imitation import as_chunk

LOW, HIGH = (0.2, -0.3, 0.0), (0.6, 0.3, 0.4)


@pytest.fixture(autouse=True)
def fixed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def flow():
    """A flow whose velocity is the same everywhere: the bias of its last layer."""
    head = FlowChunkHead(8, 2, 3, LOW, HIGH, steps=4)
    torch.nn.init.zeros_(head.to_velocity.weight)
    torch.nn.init.zeros_(head.to_velocity.bias)
    return head


@pytest.mark.parametrize('size', [0.0, 1.0, 1e3, 1e30])
def test_positions_never_leave_the_workspace(size):
    position = BoundedRows(LOW, HIGH)(size * torch.randn(100, 9)).position
    assert (position >= torch.tensor(LOW) - 1e-6).all()
    assert (position <= torch.tensor(HIGH) + 1e-6).all()


@pytest.mark.parametrize('make', [ParallelChunkHead, RecurrentChunkHead])
def test_a_chance_that_is_surely_wrong_still_learns_in_mixed_precision(make):
    head = make(8, 2, 3, LOW, HIGH)
    last = head.to_row[-1] if make is ParallelChunkHead else head.to_row
    last.bias.data[7:] = 9.0  # closed and done, as good as surely
    with torch.autocast('cpu', torch.bfloat16):
        chunk = head(torch.randn(2, 4, 8))
        actions, done = chunk_actions(chunk), torch.sigmoid(chunk.termination_logit)
    unknown = torch.zeros(2, 7, 4, 4)
    learned = as_chunk(PolicyOutput(actions, done, unknown, unknown))
    nothing = torch.zeros(2, 3)
    loss = chance_loss(learned.gripper_logit, nothing)
    (loss + chance_loss(learned.termination_logit, nothing)).backward()
    torch.testing.assert_close(last.bias.grad[7:], torch.ones(2), rtol=0.0, atol=0.02)


def test_no_number_at_all_is_the_middle_of_the_workspace_pointing_down():
    chunk = BoundedRows(LOW, HIGH)(torch.zeros(1, 9))
    wanted = torch.tensor([[0.4, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0, 0.5]])
    torch.testing.assert_close(chunk_actions(chunk), wanted)


def test_quaternions_have_length_one_even_where_the_raw_one_has_none():
    raw = torch.cat([torch.randn(20, 4), torch.tensor([[-1.0, 0.0, 0.0, 0.0]])])
    length = unit_quaternion(raw).norm(dim=-1)
    torch.testing.assert_close(length, torch.ones(21))


def test_the_gradient_is_finite_where_the_raw_quaternion_has_no_length():
    raw = torch.tensor([[-1.0, 0.0, 0.0, 0.0]], requires_grad=True)
    unit_quaternion(raw).sum().backward()
    assert raw.grad.isfinite().all()


def test_a_workspace_without_room_is_refused():
    with pytest.raises(ValueError, match='no box'):
        BoundedRows(LOW, LOW)


def test_each_row_of_the_recurrent_chunk_follows_from_the_one_before():
    head = RecurrentChunkHead(8, 2, 3, LOW, HIGH)
    tokens = torch.randn(1, 2, 8)
    before = chunk_actions(head(tokens))
    torch.nn.init.zeros_(head.step.weight_ih[:, 8:])  # forgets its last row
    after = chunk_actions(head(tokens))
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1])


def test_euler_steps_add_up_to_the_velocity(flow):
    flow.to_velocity.bias.data.fill_(0.25)
    torch.nn.init.zeros_(flow.noise)
    chunk = flow(torch.randn(1, 2, 8))
    wanted = flow.to_chunk(torch.full((1, 3, 9), 0.25))
    for got, value in zip(chunk, wanted, strict=True):
        torch.testing.assert_close(got, value)


def test_the_same_tokens_give_the_same_chunk_and_other_noise_another_one():
    one, same, other = (FlowChunkHead(8, 2, 3, LOW, HIGH, seed=seed).eval() for seed in (0, 0, 1))
    same.load_state_dict(one.state_dict())
    weights = {k: v for k, v in one.state_dict().items() if k != 'noise'}
    other.load_state_dict(weights, strict=False)
    tokens = torch.randn(1, 2, 8)
    assert torch.equal(one(tokens).position, same(tokens).position)
    assert not torch.allclose(one(tokens).position, other(tokens).position)


def test_the_velocity_that_is_taught_leads_from_the_noise_to_the_actions(flow):
    target = torch.randn(2, 3, 9)
    loss = flow.loss(torch.randn(2, 4, 8), None, target, torch.Generator().manual_seed(3))
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(loss, (target - noise).square().mean(dim=-1))


def test_rows_of_the_flow_stand_for_the_actions_that_they_were_made_of(flow):
    orientation = torch.nn.functional.normalize(torch.randn(2, 3, 4), dim=-1)
    position = flow.workspace(2.0 * torch.rand(2, 3, 3) - 1.0)
    actions = torch.cat([position, orientation, torch.full((2, 3, 1), 0.9)], dim=-1)
    chunk = flow.to_chunk(flow.to_rows(actions, torch.full((2, 3), 0.2)))
    got = chunk_actions(chunk)
    torch.testing.assert_close(got[..., :3], position)
    torch.testing.assert_close(got[..., 7], actions[..., 7])
    alike = (got[..., 3:7] * orientation).sum(dim=-1).abs()  # q and -q are the same rotation
    torch.testing.assert_close(alike, torch.ones(2, 3))
    torch.testing.assert_close(torch.sigmoid(chunk.termination_logit), torch.full((2, 3), 0.2))


def test_both_quaternions_of_a_rotation_are_the_same_row(flow):
    actions = torch.randn(1, 3, 8)
    turned = actions.clone()
    turned[..., 3:7] *= -1.0
    done = torch.zeros(1, 3)
    assert torch.equal(flow.to_rows(actions, done), flow.to_rows(turned, done))
