from every_policy import small_lesson, small_policy, SPEC
import torch

from vla_ros.training.config import load_config
from vla_ros.training.losses import class_loss
from vla_ros.training.plans import plans
from vla_ros.training.recipes import recipe_for


def test_it_plans_step_by_step_after_the_right_ones():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = small_policy('embodied').eval()
    recipe = recipe_for('embodied')(policy, SPEC, load_config())
    shown = recipe._shown(small_lesson())
    unclear = shown.unclear.clone()
    unclear[0] = True
    steps = plans(shown.frames)
    assert (steps[0] >= 0).all()
    losses = recipe._learn(shown._replace(unclear=unclear)).losses
    steps[0] = -1
    logits = policy.intend(*shown.given, steps.clamp(min=0)).plan.logits
    wanted = class_loss(logits.flatten(0, 1), steps.flatten())
    torch.testing.assert_close(losses['plan'], wanted)
