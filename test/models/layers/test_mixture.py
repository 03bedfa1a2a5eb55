import pytest
import torch
from torch.nn.functional import gelu

from vla_ros.models.layers.mixture import MixtureOfExperts


def mixture(experts=4, **options):
    torch.manual_seed(0)
    return MixtureOfExperts(8, 16, experts, **options).eval()


def always(expert, experts=4):
    """Return a mixture whose router finds one expert best for every positive token."""
    layer = mixture(experts, top_k=1, capacity=0.5)
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[expert] = 1.0
    return layer


def one_expert(layer, index, x):
    hidden = gelu(x @ layer.widen[index] + layer.widen_bias[index])
    return hidden @ layer.narrow[index] + layer.narrow_bias[index]


@pytest.mark.parametrize('top_k', [1, 2, 4])
def test_with_room_for_all_it_is_the_weighted_sum_of_the_chosen_experts(top_k):
    layer, x = mixture(top_k=top_k, capacity=8.0), torch.randn(3, 6, 8)
    probability = layer.router(x).softmax(dim=-1)
    wanted = torch.zeros_like(x)
    for b in range(3):
        for n in range(6):
            best = probability[b, n].sort(descending=True)
            gates = best.values[:top_k]
            gates = gates / gates.sum() if top_k > 1 else gates
            for gate, index in zip(gates, best.indices[:top_k], strict=True):
                wanted[b, n] += gate * one_expert(layer, index, x[b, n : n + 1])[0]
    out = layer(x)
    torch.testing.assert_close(out.tokens, wanted, rtol=1e-5, atol=1e-6)
    assert (out.dropped == 0).all()


def test_what_finds_its_expert_full_is_dropped_and_counted():
    # Eight tokens, four experts, half the even share of two: one seat each.
    out = always(2)(torch.rand(3, 8, 8))
    assert out.dropped.tolist() == [7, 7, 7]
    assert (out.tokens[:, 0] != 0).any()
    assert (out.tokens[:, 1:] == 0).all()


def test_first_choices_are_served_before_second_ones():
    layer = mixture(experts=2, top_k=2, capacity=0.5)
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(2, 8))
    x = torch.zeros(1, 2, 8)
    x[0, 0, 0] = x[0, 1, 1] = 3.0  # the first token prefers expert 0, the second expert 1
    out = layer(x)
    assert out.dropped.tolist() == [2]
    gate = torch.tensor([3.0, 0.0]).softmax(dim=0)[0]
    for n in range(2):
        wanted = gate * one_expert(layer, n, x[0, n : n + 1])[0]
        torch.testing.assert_close(out.tokens[0, n], wanted, rtol=1e-5, atol=1e-6)


def test_masked_tokens_take_no_seats_and_count_for_nothing():
    layer, x = always(0), torch.rand(1, 8, 8)
    mask = torch.tensor([[False] * 6 + [True] * 2])
    out = layer(x, mask)
    assert out.dropped.tolist() == [1]
    assert (out.tokens[0, :6] == 0).all()
    assert (out.tokens[0, 6] != 0).any()
    torch.testing.assert_close(out.load, torch.tensor([1.0, 0.0, 0.0, 0.0]))


def test_padding_changes_neither_tokens_nor_drops():
    layer, x = mixture(capacity=0.7), torch.randn(2, 5, 8)
    padded = torch.cat([x, torch.randn(2, 4, 8)], dim=1)
    mask = (torch.arange(9) < 5).expand(2, -1)
    plain, other = layer(x), layer(padded, mask)
    torch.testing.assert_close(other.tokens[:, :5], plain.tokens, rtol=1e-5, atol=1e-6)
    assert torch.equal(other.dropped, plain.dropped)
    assert plain.dropped.sum() > 0
    torch.testing.assert_close(other.balance_loss, plain.balance_loss)


def test_even_routing_has_the_least_balance_loss():
    layer = mixture(top_k=1)
    with torch.no_grad():
        layer.router.weight.copy_(torch.eye(4, 8))
    even = layer(torch.eye(4, 8)[None].repeat(1, 3, 1))
    torch.testing.assert_close(even.load, torch.full((4,), 0.25))
    torch.testing.assert_close(even.balance_loss, torch.tensor(1.0))
    uneven = layer(torch.eye(4, 8)[[0, 0, 1, 2, 3]][None])
    assert uneven.balance_loss > even.balance_loss


def test_one_expert_for_all_has_the_greatest_balance_loss():
    out = always(1)(torch.full((1, 8, 8), 10.0))
    torch.testing.assert_close(out.balance_loss, torch.tensor(4.0))


def test_descending_the_balance_loss_spreads_the_work():
    layer, x = mixture(top_k=1), torch.randn(4, 32, 8)
    with torch.no_grad():
        layer.router.weight.copy_(0.1 * torch.randn(4, 8))
        layer.router.weight[0] = 0.0
        layer.router.weight[0, 0] = 2.0
        x[:, :, 0] = x[:, :, 0].abs() + 1.0  # so that nearly all go to the first expert
    assert layer(x).load.max() > 0.9
    optimizer = torch.optim.Adam([layer.router.weight], lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        layer(x).balance_loss.backward()
        optimizer.step()
    out = layer(x)
    assert out.load.max() < 0.4
    assert out.balance_loss < 1.05


def test_without_any_token_nothing_is_lost():
    out = mixture()(torch.randn(2, 3, 8), torch.zeros(2, 3).bool())
    assert (out.tokens == 0).all()
    assert out.balance_loss == 0.0


@pytest.mark.parametrize('options', [{'top_k': 0}, {'top_k': 5}, {'capacity': 0.0}])
def test_senseless_options_are_refused(options):
    with pytest.raises(ValueError, match=f'{next(iter(options))} is'):
        mixture(**options)
