"""
What holds for every layer, encoder and fusion, whichever it is.

A new module needs a Case in ``every_case.py``; one that is forgotten fails the first test.
"""

import importlib
import inspect
import io
import pkgutil

from every_case import CASES, modalities, ready
import pytest
import torch
from torch import nn

from vla_ros.models.fusion.tokens import Tokens

PACKAGES = ('layers', 'vision', 'text', 'state', 'action', 'fusion')

every = pytest.mark.parametrize('name', CASES)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def made(name, seed=0):
    torch.manual_seed(seed)
    return CASES[name].build().eval()


def given(name):
    torch.manual_seed(1)
    return CASES[name].inputs()


def flat(value):
    """Return all tensors of nested tuples."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def each(function, value):
    """Return the nested tuples with ``function`` applied to every tensor."""
    if isinstance(value, torch.Tensor):
        return function(value)
    parts = [each(function, part) for part in value]
    return type(value)(*parts) if hasattr(value, '_fields') else tuple(parts)


def otherwise(values, mask):
    """Return values that differ wherever the mask hides them."""
    there = mask.reshape(values.shape[:2])
    if not values.is_floating_point():
        return torch.where(there, values, 10 - values)
    return torch.where(there[:, :, None], values, 50.0 * torch.randn_like(values))


def disturbed(name):
    """Return the inputs with everything that is masked changed."""
    arguments = list(given(name))
    for values, mask in CASES[name].masks.items():
        arguments[values] = otherwise(arguments[values], arguments[mask])
    return tuple(
        Tokens(otherwise(*argument), argument.mask) if isinstance(argument, Tokens) else argument
        for argument in arguments
    )


def complete(name):
    """Return the inputs with nothing masked."""
    return each(lambda t: torch.ones_like(t) if t.dtype == torch.bool else t, given(name))


def shown(out):
    """Return the nested tuples with zeros for the Tokens that are masked."""
    if isinstance(out, torch.Tensor):
        return out
    if isinstance(out, Tokens):
        return (out.tokens * out.mask[:, :, None], out.mask)
    return tuple(shown(part) for part in out)


def counted(name, out, inputs):
    """Return the output's tensors, with zeros for tokens that are not there."""
    tensors = flat(shown(out))
    if CASES[name].masked_output is not None:
        there = inputs[CASES[name].masked_output].reshape(tensors[0].shape[:2])
        tensors[0] = tensors[0] * there[:, :, None]
        if tensors[1:] and tensors[1].dim() == 4:
            tensors[1] = tensors[1] * there[:, None, :, None]
    return tensors


def test_no_module_of_the_library_is_forgotten():
    found = set()
    for package in PACKAGES:
        folder = importlib.import_module(f'vla_ros.models.{package}')
        for info in pkgutil.iter_modules(folder.__path__, f'{folder.__name__}.'):
            module = importlib.import_module(info.name)
            found |= {
                value
                for value in vars(module).values()
                if inspect.isclass(value)
                and issubclass(value, nn.Module)
                and value.forward is not nn.Module.forward  # what others are made of
                and value.__module__ == info.name
            }
    assert found == {type(case.build()) for case in CASES.values()}


@every
def test_outputs_have_the_shapes_that_are_promised(name):
    assert [tuple(t.shape) for t in flat(made(name)(*given(name)))] == CASES[name].shapes


@every
def test_nothing_is_nan_or_infinite_even_where_all_is_masked(name):
    assert all(t.isfinite().all() for t in flat(made(name)(*given(name))))


@pytest.mark.parametrize(
    'name', [n for n, c in CASES.items() if c.masks or c.inputs in (modalities, ready)]
)
def test_changing_what_is_masked_changes_nothing(name):
    module, inputs, others = made(name), given(name), disturbed(name)
    assert any(not torch.equal(a, b) for a, b in zip(flat(inputs), flat(others), strict=True))
    before = counted(name, module(*inputs), inputs)
    after = counted(name, module(*others), inputs)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-6)


@every
def test_gradients_reach_every_parameter(name):
    module = made(name)
    outputs = [t for t in flat(module(*given(name))) if t.requires_grad]
    loss = sum((t * torch.randn_like(t)).sum() for t in outputs)
    if outputs:
        loss.backward()
    for parameter, value in module.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
        # What is added to all keys alike does not change a softmax over them.
        if not parameter.endswith('key.bias'):
            assert value.grad.abs().max() > 0.0, parameter


@every
def test_scripted_saved_and_loaded_it_computes_the_same(name):
    module, inputs, file = made(name), given(name), io.BytesIO()
    torch.jit.save(torch.jit.script(module), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    for one, other in zip(flat(module(*inputs)), flat(loaded(*inputs)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@every
def test_its_weights_make_any_other_instance_the_same(name):
    one, other, inputs = made(name, seed=0), made(name, seed=5), given(name)
    other.load_state_dict(one.state_dict())
    for a, b in zip(flat(one(*inputs)), flat(other(*inputs)), strict=True):
        assert torch.equal(a, b)


@every
def test_a_batch_of_one_gives_what_its_row_gives_in_a_larger_batch(name):
    module, inputs = made(name), given(name)
    whole = flat(module(*inputs))
    rows = flat(inputs)[0].shape[0]
    for row in range(rows):
        alone = flat(module(*each(lambda t, row=row: t[row : row + 1], inputs)))
        for one, other in zip(alone, whole, strict=True):
            if other.dim() and other.shape[0] == rows:
                torch.testing.assert_close(one, other[row : row + 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'name', [n for n, c in CASES.items() if c.learns and list(c.build().parameters())]
)
def test_it_learns_one_batch_by_heart(name):
    module, inputs = made(name), complete(name)
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    first = flat(module(*inputs))[0].flatten(1)
    # A fixed reading of the output, so that the module itself has to learn.
    reading = torch.randn(first.shape[1]) / first.shape[1] ** 0.5
    target = torch.linspace(-1.0, 1.0, first.shape[0])
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(300):
        loss = (flat(module(*inputs))[0].flatten(1) @ reading - target).square().mean()
        if loss < 1e-3:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-3
