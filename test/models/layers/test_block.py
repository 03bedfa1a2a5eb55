import pytest
import torch

from vla_ros.models.layers.block import CrossBlock, PreNormBlock


@pytest.fixture
def block():
    torch.manual_seed(0)
    return PreNormBlock(8, heads=2).eval()


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(2, 4, 8)


def test_the_shape_stays(block, x):
    assert block(x).shape == x.shape


def test_it_equals_the_layer_of_torch(block, x):
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation='gelu', batch_first=True, norm_first=True
    ).eval()
    attention = block.attention
    with torch.no_grad():
        parts = (attention.to_query, attention.to_key, attention.to_value)
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        for to, part in (
            (theirs.self_attn.out_proj, attention.to_out),
            (theirs.norm1, block.attention_norm),
            (theirs.norm2, block.norm),
            (theirs.linear1, block.feed_forward[0]),
            (theirs.linear2, block.feed_forward[3]),
        ):
            to.load_state_dict(part.state_dict())
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    got, wanted = block(x, mask), theirs(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(got[mask], wanted[mask], atol=1e-5, rtol=1e-5)


def test_without_its_two_parts_it_passes_on_what_it_got(block, x):
    with torch.no_grad():
        for layer in (block.attention.to_out, block.feed_forward[3]):
            layer.weight.zero_()
            layer.bias.zero_()
    assert torch.equal(block(x), x)


def test_masked_tokens_do_not_change_the_others(block, x):
    mask = torch.tensor([[True, True, True, False]] * 2)
    other = x.clone()
    other[:, 3] = 50.0
    assert torch.equal(block(x, mask)[:, :3], block(other, mask)[:, :3])


def test_gradients_reach_every_parameter(block, x):
    block(x).square().sum().backward()
    assert [n for n, p in block.named_parameters() if p.grad is None] == []


def test_dropout_acts_in_training_alone(x):
    block = PreNormBlock(8, heads=2, dropout=0.5)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


def test_with_the_weights_of_some_it_gives_the_same(block, x):
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    out, weights = block.looking(x, mask, 1, 3)
    torch.testing.assert_close(out, block(x, mask))
    y = block.attention_norm(x)
    torch.testing.assert_close(weights, block.attention(y, y, mask)[1][:, :, 1:3])
    assert (weights[1, :, :, 2:] == 0).all()


def test_a_cross_block_that_attends_to_itself_is_a_block(block, x):
    cross = CrossBlock(8, heads=2).eval()
    for to, part in (
        (cross.query_norm, block.attention_norm),
        (cross.context_norm, block.attention_norm),
        (cross.attention, block.attention),
        (cross.norm, block.norm),
        (cross.feed_forward, block.feed_forward),
    ):
        to.load_state_dict(part.state_dict())
    torch.testing.assert_close(cross(x, x)[0], block(x), rtol=1e-5, atol=1e-6)
