import pytest
import torch

from vla_ros.models.layers.additive_attention import AdditiveAttention


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return AdditiveAttention(8, heads=2, context_width=6).eval()


def test_weights_follow_the_published_formula(layer):
    query, context = torch.randn(2, 3, 8), torch.randn(2, 4, 6)
    weights = layer(query, context)[1]
    scores = torch.empty(2, 2, 3, 4)
    for b, h, q, n in torch.cartesian_prod(*(torch.arange(size) for size in scores.shape)):
        part = slice(4 * h, 4 * h + 4)
        both = layer.to_query(query[b, q])[part] + layer.to_key(context[b, n])[part]
        scores[b, h, q, n] = layer.to_score[h] @ torch.tanh(both)
    torch.testing.assert_close(weights, scores.softmax(dim=-1))


def test_values_are_mixed_by_the_weights(layer):
    query, context = torch.randn(1, 1, 8), torch.randn(1, 4, 6)
    out, weights = layer(query, context)
    values = layer.to_value(context)[0]  # (n, width)
    heads = [weights[0, h, 0] @ values[:, 4 * h : 4 * h + 4] for h in range(2)]
    torch.testing.assert_close(out[0, 0], layer.to_out(torch.cat(heads)))


def test_without_context_the_weights_are_zero(layer):
    out, weights = layer(torch.randn(1, 2, 8), torch.randn(1, 3, 6), torch.zeros(1, 3).bool())
    assert (weights == 0).all()
    assert out.isfinite().all()


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match='3 heads'):
        AdditiveAttention(8, heads=3)
