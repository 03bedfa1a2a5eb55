"""How policies are taught, by the policy's name; all but those named here learn by imitation."""

from __future__ import annotations

from collections.abc import Mapping

from vla_ros.training.recipes.decision_transformer import DecisionTransformerRecipe
from vla_ros.training.recipes.embodied import EmbodiedRecipe
from vla_ros.training.recipes.imitation import ImitationRecipe
from vla_ros.training.recipes.keypoint import KeypointRecipe
from vla_ros.training.recipes.multitask import MultitaskRecipe
from vla_ros.training.recipes.recipe import Recipe
from vla_ros.training.recipes.rt2_tokens import Rt2TokensRecipe

_RECIPES: Mapping[str, type[Recipe]] = {
    'keypoint': KeypointRecipe,
    'rt2_tokens': Rt2TokensRecipe,
    'embodied': EmbodiedRecipe,
    'decision_transformer': DecisionTransformerRecipe,
    'multitask': MultitaskRecipe,
}


def recipe_for(policy: str) -> type[Recipe]:
    """Return the recipe of a registered policy."""
    return _RECIPES.get(policy, ImitationRecipe)
