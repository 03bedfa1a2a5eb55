import torch

from vla_ros.models.layers.pool import AttentionPool


def test_the_order_of_the_tokens_does_not_matter():
    torch.manual_seed(0)
    pool, x = AttentionPool(8, 2, queries=3).eval(), torch.randn(2, 5, 8)
    torch.testing.assert_close(pool(x.flip(1))[0], pool(x)[0], rtol=1e-5, atol=1e-6)


def test_weights_are_shares_of_the_tokens_that_are_there():
    torch.manual_seed(0)
    pool, mask = AttentionPool(8, 2).eval(), torch.tensor([[True, True, False]])
    weights = pool(torch.randn(1, 3, 8), mask)[1]
    assert (weights[..., 2] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 2, 1))
