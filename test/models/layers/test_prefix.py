import pytest
import torch

from vla_ros.models.layers.prefix import PrefixTransformer

MASK = torch.tensor([[True] * 4, [True, True, False, False]])


@pytest.fixture
def transformer():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return PrefixTransformer(8, heads=2, layers=3).eval()


@pytest.fixture
def prefix():
    torch.manual_seed(1)
    return torch.randn(2, 4, 8)


@pytest.fixture
def after():
    torch.manual_seed(2)
    return torch.randn(2, 3, 8)


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_one_by_one_they_become_what_they_become_together(transformer, prefix, after):
    past = transformer.begin(prefix, MASK)
    together, all_past, weights = transformer.follow(after, past, True)
    for place in range(3):
        alone, past, seen = transformer.follow(after[:, place : place + 1], past, True)
        close(alone[:, 0], together[:, place])
        close(seen[:, :, 0], weights[:, :, place, : 4 + place + 1])
    for one, other in zip(past.layers, all_past.layers, strict=True):
        close(one, other)
    assert torch.equal(past.mask, all_past.mask)


def test_of_what_is_past_nothing_is_projected_again(transformer, prefix, after):
    past, projected = transformer.begin(prefix, MASK), []
    for block in (*transformer.blocks, transformer.last):
        for linear in (block.attention.to_key, block.attention.to_value):
            linear.register_forward_hook(lambda _, given, out: projected.append(out.shape[1]))
    transformer.follow(after[:, :1], past, True)
    assert projected == [1] * 6


def test_a_sequence_of_two_parts_is_one_with_a_mask(transformer, prefix, after):
    # Every block on the whole sequence at once, by the attention that keeps nothing.
    x = torch.cat([prefix, after], dim=1)
    own = torch.cat([torch.zeros(3, 4), torch.ones(3, 3).tril()], dim=1).bool()
    mask = torch.cat([MASK, torch.zeros(2, 3).bool()], dim=1)[:, None].repeat(1, 7, 1)
    mask[:, 4:] |= own
    for block in (*transformer.blocks, transformer.last):
        y = block.attention_norm(x)
        x = x + block.attention(y, y, mask)[0]
        x = x + block.feed_forward(block.norm(x))
    close(transformer(prefix, MASK, after)[0], transformer.norm(x[:, 4:]))


def test_a_later_token_changes_no_earlier_one_if_causal(transformer, prefix, after):
    before = transformer(prefix, MASK, after)[0]
    after[:, 2] = torch.linspace(-2.0, 2.0, 8)
    changed = transformer(prefix, MASK, after)[0]
    assert torch.equal(changed[:, :2], before[:, :2])
    assert not torch.allclose(changed[:, 2], before[:, 2])


def test_all_that_follow_see_each_other_if_not_causal(transformer, prefix, after):
    before = transformer(prefix, MASK, after, causal=False)[0]
    after[:, 2] = torch.linspace(-2.0, 2.0, 8)
    changed = transformer(prefix, MASK, after, causal=False)[0]
    assert ((changed - before).abs().amax(dim=-1) > 1e-4).all()


def test_every_token_of_the_prefix_is_seen_unless_masked(transformer, prefix, after):
    def followed(prefix):
        return transformer(prefix, MASK, after)[0]

    before = followed(prefix)
    for place in range(4):
        other = prefix.clone()
        other[:, place] = torch.linspace(-2.0, 2.0, 8)
        changed = (followed(other) - before).abs().amax(dim=-1)
        assert ((changed > 1e-4) == MASK[:, place, None]).all()


def test_nothing_masked_is_looked_at(transformer, prefix, after):
    weights = transformer(prefix, MASK, after)[1]
    assert (weights[1, :, :, 2:4] == 0.0).all()
    close(weights.sum(dim=-1), torch.ones(2, 2, 3))


def test_a_transformer_of_no_layers_is_refused():
    with pytest.raises(ValueError, match='got 0 layers'):
        PrefixTransformer(8, 2, layers=0)
