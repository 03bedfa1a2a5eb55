import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from vla_ros.models.layers.attention import MultiHeadAttention


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return MultiHeadAttention(8, heads=2, context_width=6).eval()


def test_attention_equals_that_of_torch(layer):
    query, context = torch.randn(3, 4, 8), torch.randn(3, 5, 6)
    mask = torch.rand(3, 5) < 0.7
    mask[:, 0] = True
    split = [
        t.unflatten(-1, (2, 4)).transpose(1, 2)
        for t in (layer.to_query(query), layer.to_key(context), layer.to_value(context))
    ]
    wanted = scaled_dot_product_attention(*split, attn_mask=mask[:, None, None])
    wanted = layer.to_out(wanted.transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(query, context, mask)[0], wanted)


def test_weights_sum_to_one_over_what_is_there(layer):
    mask = torch.tensor([[True, True, False]])
    weights = layer(torch.randn(1, 2, 8), torch.randn(1, 3, 6), mask)[1]
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 2, 2))
    assert (weights[..., 2] == 0).all()


def test_changing_masked_context_changes_nothing(layer):
    query, context = torch.randn(1, 2, 8), torch.randn(1, 3, 6)
    mask = torch.tensor([[True, False, True]])
    before = layer(query, context, mask)[0]
    context[:, 1] = 100.0
    assert torch.equal(layer(query, context, mask)[0], before)


def test_context_that_is_not_there_at_all_gives_zero_weights(layer):
    out, weights = layer(torch.randn(1, 2, 8), torch.randn(1, 3, 6), torch.zeros(1, 3).bool())
    assert (weights == 0).all()
    assert out.isfinite().all()


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match='3 heads'):
        MultiHeadAttention(8, heads=3)
