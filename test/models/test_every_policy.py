"""What holds for every registered policy, whichever it is."""

from functools import cache
import io
import re

from every_policy import small_inputs, small_lesson, small_policy, SPEC
import pytest
import torch
from torch import nn

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.registry import policy_names
from vla_ros.pipeline.manifest import ATTENTION_KINDS
from vla_ros.training.config import load_config
from vla_ros.training.recipes import recipe_for

#: Where an attention has one token to look at: it has no choice, so that nothing teaches it one.
NO_CHOICE = {
    'bidirectional': r'alone\.state',
    'intermediate': r'alone\.state',
    'late': r'alone\.state|pool_state|readout',
}

#: Whose words are the encoder's features alone, in which their order is already.
READ_AS_A_SET = {'keypoint'}

every = pytest.mark.parametrize('name', policy_names())


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def made(name, seed=0):
    torch.manual_seed(seed)
    return small_policy(name).eval()


def given():
    torch.manual_seed(1)
    return small_inputs()


def taught(name, policy):
    """Return the recipe of a policy, and a lesson for it."""
    torch.manual_seed(2)
    recipe = recipe_for(name)(policy, SPEC, load_config())
    recipe.random.manual_seed(2)
    return recipe, small_lesson()


def weighted(losses):
    weights = load_config().loss_weights
    return sum(weights[name] * loss for name, loss in losses.items())


@cache
def loaded(name):
    """Return a policy as TorchScript from a file."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(made(name)), file)
    file.seek(0)
    return torch.jit.load(file)


def is_used(name, parameter):
    """Return whether a parameter of a policy has a say in what it does."""
    if name in NO_CHOICE and re.search(NO_CHOICE[name], parameter):
        return not re.search('to_query|to_key|queries', parameter)
    # What is added to all keys alike does not change a softmax over them.
    return not parameter.endswith('key.bias')


@every
def test_the_output_keeps_the_contract(name):
    policy = made(name)
    traits, output = policy.traits(), policy(*given())
    assert isinstance(output, PolicyOutput)
    assert output.actions.shape == (3, 4, 8)
    assert output.termination.shape == (3, 4)
    assert output.task_logits.shape == (3, len(SPEC.tasks))
    assert output.attention.shape == (3, 5, *traits.grid)
    assert {tensor.dtype for tensor in output} == {torch.float32}
    assert traits.attention in ATTENTION_KINDS


@every
def test_chances_quaternions_and_attention_are_in_their_ranges(name):
    actions, termination, _, attention = made(name)(*given())
    torch.testing.assert_close(actions[..., 3:7].norm(dim=-1), torch.ones(3, 4))
    for chance in (actions[..., 7], termination):
        assert (chance >= 0).all()
        assert (chance <= 1).all()
    assert (attention >= 0).all()


@every
def test_masked_words_change_nothing(name):
    image, text, mask, state = given()
    policy = made(name)
    before = policy(image, text, mask, state)
    after = policy(image, text + 9.0 * ~mask[:, :, None], mask, state)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=1e-6)


@every
def test_masked_words_get_no_attention(name):
    image, text, mask, state = given()
    looked = made(name)(image, text, mask, state).attention.sum(dim=(2, 3))
    assert (looked[~mask] == 0.0).all()
    assert (looked > 0.0).any(dim=1).all()


@every
@pytest.mark.parametrize('factor', [-4.0, 4.0])
def test_no_target_leaves_the_workspace(name, factor):
    image, text, mask, state = given()
    policy = made(name)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(factor)
    position = policy(image, text, mask, state).actions[..., :3]
    assert (position >= torch.tensor(SPEC.workspace_min) - 1e-6).all()
    assert (position <= torch.tensor(SPEC.workspace_max) + 1e-6).all()


@every
def test_nothing_is_nan_even_without_any_word(name):
    image, text, mask, state = given()
    for output in made(name)(image, text, torch.zeros_like(mask), state):
        assert output.isfinite().all()


@every
@pytest.mark.parametrize('part', ['image', 'text', 'state'])
def test_it_depends_on_everything_that_it_is_given(name, part):
    inputs = list(given())
    policy = made(name)
    before = policy(*inputs)
    at = ('image', 'text', 'mask', 'state').index(part)
    torch.manual_seed(5)
    other = 255 - inputs[at] if part == 'image' else inputs[at] + torch.randn_like(inputs[at])
    inputs[at] = other
    after = policy(*inputs)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@every
def test_the_order_of_the_words_counts_unless_they_are_read_as_a_set(name):
    image, text, mask, state = given()
    policy = made(name)
    before = policy(image, text, mask, state)
    after = policy(image, text[:, [1, 0, 2, 3, 4]], mask, state)
    same = [
        torch.allclose(one, other, rtol=0.0, atol=1e-6)
        for one, other in zip(before[:3], after[:3], strict=True)
    ]
    assert all(same) == (name in READ_AS_A_SET)


@every
def test_gradients_reach_every_parameter(name):
    policy = made(name).train()
    recipe, lesson = taught(name, policy)
    weighted(recipe(lesson)).backward()
    for parameter, value in policy.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
        if is_used(name, parameter):
            assert value.grad.abs().max() > 0.0, parameter


@every
def test_it_can_be_taught_in_mixed_precision(name):
    policy = made(name).train()
    recipe, lesson = taught(name, policy)
    exact = weighted(recipe(lesson))
    recipe, lesson = taught(name, policy)
    recipe._mixed = True
    loss = weighted(recipe(lesson))
    loss.backward()
    torch.testing.assert_close(loss, exact, rtol=0.05, atol=0.0)


@every
def test_what_is_taught_is_what_is_returned(name):
    image, text, mask, state = given()
    policy = made(name)
    done = torch.zeros(3, 4)
    learned = policy.learn(image[:1], text, mask, state, torch.zeros(3, 4, 8), done).output
    returned = policy(image[:1].expand(3, -1, -1, -1, -1), text, mask, state)
    for one, other in zip(learned, returned, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@every
def test_scripted_saved_and_loaded_it_computes_the_same(name):
    inputs = given()
    for one, other in zip(made(name)(*inputs), loaded(name)(*inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@every
def test_its_weights_make_any_other_instance_the_same(name):
    one, other, inputs = made(name, seed=0), made(name, seed=5), given()
    other.load_state_dict(one.state_dict())
    for a, b in zip(one(*inputs), other(*inputs), strict=True):
        assert torch.equal(a, b)


@every
def test_a_batch_of_one_gives_what_its_row_gives_in_a_larger_batch(name):
    inputs = given()
    policy = loaded(name)
    whole = policy(*inputs)
    for row in range(3):
        alone = policy(*(tensor[row : row + 1] for tensor in inputs))
        for one, other in zip(alone, whole, strict=True):
            torch.testing.assert_close(one, other[row : row + 1], rtol=1e-5, atol=1e-5)


def test_every_weight_of_the_configuration_is_that_of_a_loss():
    policies = [(name, small_policy(name)) for name in policy_names()]
    policies.append(('early', small_policy('early', head='flow')))
    found = set()
    for name, policy in policies:
        recipe, lesson = taught(name, policy)
        found |= recipe(lesson).keys()
    assert found == load_config().loss_weights.keys()


@every
def test_what_its_recipe_keeps_is_on_the_device_of_the_policy(name):
    recipe = recipe_for(name)(small_policy(name).to('meta'), SPEC, load_config())
    kept = list(vars(recipe).values())
    parts = [part for part in kept if isinstance(part, nn.Module)]
    tensors = [value for value in kept if isinstance(value, torch.Tensor)]
    tensors += [value for part in parts for value in (*part.parameters(), *part.buffers())]
    assert {value.device.type for value in tensors} == {'meta'}


@every
def test_it_learns_one_lesson_by_its_recipe(name):
    policy = made(name).train()
    for part in policy.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    recipe, lesson = taught(name, policy)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = weighted(recipe(lesson))
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
