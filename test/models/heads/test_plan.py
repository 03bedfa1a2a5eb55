import pytest
import torch

from vla_ros.models.heads.plan import END, PlanHead


@pytest.fixture
def head():
    torch.manual_seed(0)
    return PlanHead(8, 2, length=4, kinds=3)


def always(head: PlanHead, step: int) -> torch.Tensor:
    torch.nn.init.zeros_(head.to_logits.weight)
    head.to_logits.bias.data = torch.eye(4)[step]
    return head(torch.randn(2, 3, 8)).steps


def test_nothing_follows_the_end_of_a_plan(head):
    head.embed.weight.data *= 10.0
    taught = torch.randint(1, 4, (200, 4))
    plan = head(torch.randn(200, 3, 8), None, taught)
    after = (plan.steps == END).cumsum(dim=-1) > 1
    assert (plan.logits.argmax(dim=-1)[after] != END).any()  # the net would go on
    assert (plan.steps[after] == END).all()


def test_a_plan_goes_on_until_its_end(head):
    assert (always(head, 3) == 3).all()


def test_a_step_depends_on_the_one_before_it(head):
    tokens = torch.randn(1, 3, 8)
    one, other = (head(tokens, None, torch.tensor([[step, 0, 0, 0]])).logits for step in (1, 2))
    torch.testing.assert_close(one[:, 0], other[:, 0])
    assert not torch.allclose(one[:, 1], other[:, 1])


def test_taught_its_own_steps_it_says_the_same(head):
    tokens = torch.randn(2, 3, 8)
    plan = head(tokens)
    torch.testing.assert_close(head(tokens, None, plan.steps).logits, plan.logits)
