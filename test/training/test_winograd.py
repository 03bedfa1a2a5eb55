import subprocess

import pytest
import torch

from vla_ros.training import winograd
from vla_ros.training.winograd import Winograd


@pytest.fixture(autouse=True)
def compiled_anew():
    winograd._compiled.cache_clear()
    yield
    winograd._compiled.cache_clear()


def learned(layer, x):
    """Return what a layer makes of x, and the gradients of x and of its weight."""
    y = layer(x)
    weights = torch.linspace(-1.0, 1.0, y.numel()).view_as(y)
    return y, *torch.autograd.grad((y * weights).sum(), (x, layer.weight))


def inputs(n=3, c=8, h=12, w=8):
    torch.manual_seed(0)
    return torch.randn(n, c, h, w).to(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize('memory_format', [torch.channels_last, torch.contiguous_format])
def test_it_convolves_and_learns_as_torch_does(memory_format):
    if winograd._compiled() is None:
        pytest.skip('no C compiler')
    x = inputs()
    layer = torch.nn.Conv2d(8, 16, 3, padding=1, bias=False).to(memory_format=memory_format)
    wanted = learned(layer, x)
    with Winograd():
        got = learned(layer, x)
    for one, other in zip(got, wanted, strict=True):
        assert not torch.equal(one, other)  # or torch convolved both
        torch.testing.assert_close(
            one, other, atol=2e-4 * float(other.detach().abs().max()), rtol=0.0
        )


@pytest.mark.parametrize(
    'layer',
    [
        torch.nn.Conv2d(8, 8, 3, padding=1),
        torch.nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False),
        torch.nn.Conv2d(8, 8, 5, padding=2, bias=False),
        torch.nn.Conv2d(8, 6, 3, padding=1, bias=False),
        torch.nn.Conv2d(8, 8, 3, padding=1, bias=False, groups=2),
        torch.nn.Conv2d(8, 8, 3, padding=1, bias=False, padding_mode='circular'),
    ],
)
def test_other_convolutions_stay_as_they_are(layer):
    wanted = learned(layer, inputs())
    with Winograd():
        got = learned(layer, inputs())
    torch.testing.assert_close(got, wanted, rtol=0.0, atol=0.0)


def test_pictures_that_do_not_divide_into_tiles_stay_as_they_are():
    layer = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False)
    with Winograd():
        got = layer(inputs(h=10))
    assert torch.equal(got, layer(inputs(h=10)))


@pytest.mark.parametrize(
    'error', [FileNotFoundError('cc'), subprocess.CalledProcessError(1, 'cc')]
)
def test_without_a_compiler_convolutions_stay_as_they_are(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(winograd.subprocess, 'run', fail)
    layer = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False)
    with Winograd():
        got = learned(layer, inputs())
    torch.testing.assert_close(got, learned(layer, inputs()), rtol=0.0, atol=0.0)
