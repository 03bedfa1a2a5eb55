from every_policy import small_inputs, small_lesson, small_policy, SPEC
import pytest
import torch
from torch import nn

from vla_ros.errors import ConfigurationError
from vla_ros.models import registry as policies
from vla_ros.models.fusion import registry
from vla_ros.models.registry import build_policy, policy_names
from vla_ros.training.config import load_config
from vla_ros.training.recipes.imitation import ImitationRecipe


@pytest.fixture(autouse=True)
def fixed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_there_is_a_policy_for_every_fusion():
    assert set(registry.fusion_names()) <= set(policy_names())


def test_a_new_fusion_is_a_new_policy(monkeypatch):
    monkeypatch.setattr(registry, '_FUSIONS', {**registry._FUSIONS})
    monkeypatch.setattr(policies, '_POLICIES', {**policies._POLICIES})
    registry.register_fusion('mine')(registry._FUSIONS['early'])
    assert 'mine' in policy_names()


@pytest.mark.parametrize(
    'options', [{'vision': 'vit'}, *({'head': name} for name in ('chunk', 'recurrent', 'flow'))]
)
def test_its_parts_can_be_chosen_and_scripted(options):
    policy, inputs = small_policy('late', **options).eval(), small_inputs()
    for one, other in zip(policy(*inputs), torch.jit.script(policy)(*inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'vision': 'eyes'}, 'policy late: got vision .eyes., expected conv or vit'),
        ({'head': 'big'}, 'got head .big., expected waypoint, chunk, recurrent, flow'),
        ({'width': 'wide'}, 'width: got "wide", expected a number'),
        ({'heads': 0}, 'policy late: heads is 0; valid: 1 and more'),
        ({'image_width': -1}, 'image_width is -1; valid: 1 and more'),
        ({'width': 15}, 'does not divide into 4 heads|width'),
        ({'fusion': {'experts': 2}}, 'fusion late has no option .experts.'),
    ],
)
def test_a_wrong_part_is_told(options, message):
    with pytest.raises(ConfigurationError, match=message):
        build_policy('late', SPEC, options)


def test_options_of_the_fusion_reach_it():
    policy = small_policy('mixture', fusion={'experts': 3})
    assert policy.fusion.blocks[0].mixture.experts == 3


def losses(policy):
    recipe = ImitationRecipe(policy, SPEC, load_config())
    recipe.random.manual_seed(0)
    return recipe(small_lesson())


def test_the_flow_head_is_taught_by_flow_matching_alone():
    policy = small_policy('late', head='flow')
    found = losses(policy)
    assert not found['position'].requires_grad
    found['flow'].backward()
    assert policy.head.to_velocity.weight.grad.abs().max() > 0.0
    assert all(p.grad is None or p.grad.isfinite().all() for p in policy.parameters())


def test_experts_are_balanced():
    assert float(losses(small_policy('mixture'))['balance']) > 0.0


def test_each_picture_is_looked_at_once():
    policy = small_policy('late')
    seen = []
    policy.senses.vision.register_forward_hook(
        lambda module, inputs, cells: seen.append(len(cells))
    )
    losses(policy)
    assert seen == [4]


def test_cells_know_where_on_the_table_they_look():
    policy = small_policy('late').eval()
    for part in policy.senses.vision.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.zeros_(part.weight)
    image, *others = small_inputs()
    cells = policy.senses(torch.zeros_like(image), *others)[0].tokens[0]
    assert len(torch.unique(cells, dim=0)) == len(cells)
