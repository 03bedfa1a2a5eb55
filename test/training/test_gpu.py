"""Every policy learns on a GPU what it learns on a CPU; for machines that have one."""

from every_policy import small_lesson, small_policy, SPEC
import pytest
import torch

from vla_ros.models.registry import policy_names
from vla_ros.training.config import load_config
from vla_ros.training.recipes import recipe_for
from vla_ros.training.recipes.recipe import moved

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')


@pytest.mark.parametrize('name', policy_names())
def test_the_losses_are_those_of_the_cpu(name):
    found = []
    for device in ('cpu', 'cuda'):
        torch.manual_seed(0)
        policy = small_policy(name).to(device).eval()
        recipe = recipe_for(name)(policy, SPEC, load_config())
        recipe.random.manual_seed(1)
        recipe._mixed = False
        torch.manual_seed(1)
        losses = recipe(moved(small_lesson(), torch.device(device)))
        found.append({key: float(value) for key, value in losses.items()})
    assert found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-4)
