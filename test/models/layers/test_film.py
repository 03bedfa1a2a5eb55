import torch

from vla_ros.models.layers.film import FilmMlp


def test_the_condition_changes_what_comes_out():
    torch.manual_seed(0)
    layer = FilmMlp(4, condition=2, hidden=8, outputs=3)
    x = torch.randn(1, 4)
    one, other = layer(x, torch.tensor([[1.0, 0.0]])), layer(x, torch.tensor([[0.0, 1.0]]))
    assert one.shape == (1, 3)
    assert not torch.allclose(one, other)
