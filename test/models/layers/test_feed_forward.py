import torch

from vla_ros.models.layers.feed_forward import FeedForward


def test_it_is_two_linear_layers_around_a_gelu():
    torch.manual_seed(0)
    net, x = FeedForward(4, 6, dropout=0.5).eval(), torch.randn(2, 3, 4)
    hidden = torch.nn.functional.gelu(x @ net[0].weight.T + net[0].bias)
    torch.testing.assert_close(net(x), hidden @ net[3].weight.T + net[3].bias)
