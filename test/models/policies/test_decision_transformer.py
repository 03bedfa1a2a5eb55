from every_policy import small_inputs, small_policy
import pytest
import torch


@pytest.fixture
def policy():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return small_policy('decision_transformer').eval()


def inputs():
    torch.manual_seed(1)
    return small_inputs()


def test_it_acts_otherwise_with_more_to_go(policy):
    soon, _ = policy.decide(*inputs(), torch.tensor([0] * 3))
    late, _ = policy.decide(*inputs(), torch.tensor([3] * 3))
    assert not torch.allclose(soon.actions, late.actions)


def test_in_mixed_precision_its_chances_are_never_rounded_to_one(policy):
    policy.to_row[-1].bias.data[7:] = 9.0
    with torch.autocast('cpu', torch.bfloat16):
        output, _ = policy.decide(*inputs())
    for chance in output.actions[..., 7], output.termination:
        assert chance.dtype == torch.float32
        assert (chance < 1.0).all()


def test_asked_for_nothing_it_takes_the_likeliest(policy):
    own, logits = policy.decide(*inputs())
    asked, _ = policy.decide(*inputs(), logits.argmax(dim=-1))
    left_open, _ = policy.decide(*inputs(), torch.tensor([-1] * 3))
    assert torch.equal(own.actions, asked.actions)
    assert torch.equal(own.actions, left_open.actions)


def test_what_is_to_go_changes_no_guess_of_it(policy):
    guesses = [policy.decide(*inputs(), torch.tensor([n] * 3))[1] for n in (0, 3)]
    assert torch.equal(*guesses)
