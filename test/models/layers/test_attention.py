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


@pytest.mark.parametrize('heads', [3, 0, -1])
def test_a_width_that_heads_do_not_divide_is_refused(heads):
    with pytest.raises(ValueError, match=f'{heads} heads'):
        MultiHeadAttention(8, heads=heads)


def test_attention_equals_the_layer_of_torch():
    torch.manual_seed(0)
    ours = MultiHeadAttention(8, heads=2, context_width=6).eval()
    theirs = torch.nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True).eval()
    with torch.no_grad():
        theirs.q_proj_weight.copy_(ours.to_query.weight)
        theirs.k_proj_weight.copy_(ours.to_key.weight)
        theirs.v_proj_weight.copy_(ours.to_value.weight)
        biases = [part.bias for part in (ours.to_query, ours.to_key, ours.to_value)]
        theirs.in_proj_bias.copy_(torch.cat(biases))
        theirs.out_proj.load_state_dict(ours.to_out.state_dict())
    query, context = torch.randn(3, 4, 8), torch.randn(3, 5, 6)
    mask = torch.tensor([[True] * 5, [True, False] * 2 + [True], [True] + [False] * 4])
    wanted = theirs(query, context, context, key_padding_mask=~mask, average_attn_weights=False)
    for value, expected in zip(ours(query, context, mask), wanted, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


MASKS = {
    'no mask': None,
    'one for all queries': torch.tensor([[True, True, False], [False] * 3]),
    'causal': torch.ones(3, 3).tril().bool().expand(2, -1, -1),
    'one for each query, one of them blind': torch.tensor([[[True] * 3, [False] * 3, [True] * 3]]),
}


@pytest.mark.parametrize('mask', MASKS.values(), ids=MASKS)
def test_the_fast_path_gives_the_same_values(layer, mask):
    query, context = torch.randn(2, 3, 8), torch.randn(2, 3, 6)
    if mask is not None:
        mask = mask.expand(2, *mask.shape[1:])
    slow = layer(query, context, mask)[0]
    torch.testing.assert_close(layer.attend(query, context, mask), slow, rtol=1e-5, atol=1e-6)


def test_the_fast_path_drops_the_same_weights(layer):
    layer.dropout.p = 0.5
    layer.train()
    query, context = torch.randn(2, 3, 8), torch.randn(2, 4, 6)
    torch.manual_seed(3)
    slow = layer(query, context)[0]
    torch.manual_seed(3)
    torch.testing.assert_close(layer.attend(query, context), slow, rtol=1e-5, atol=1e-6)


def test_the_fast_path_has_finite_gradients_where_nothing_is_there(layer):
    query = torch.randn(1, 2, 8, requires_grad=True)
    context = torch.randn(1, 3, 6, requires_grad=True)
    layer.attend(query, context, torch.zeros(1, 3).bool()).sum().backward()
    assert query.grad.isfinite().all()
    assert context.grad.isfinite().all()


def test_a_causal_mask_hides_what_comes_later(layer):
    mask = MASKS['causal']
    context = torch.randn(2, 3, 6)
    query = torch.randn(2, 3, 8)
    before = layer.attend(query, context, mask)
    context[:, 2] += 1.0
    after = layer.attend(query, context, mask)
    torch.testing.assert_close(after[:, :2], before[:, :2])
    assert (after[:, 2] - before[:, 2]).abs().max() > 1e-3


def test_the_order_of_the_context_does_not_matter(layer):
    query, context = torch.randn(1, 2, 8), torch.randn(1, 4, 6)
    torch.testing.assert_close(
        layer(query, context.flip(1))[0], layer(query, context)[0], rtol=1e-5, atol=1e-6
    )
