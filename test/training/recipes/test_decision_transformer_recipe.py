from every_policy import small_lesson, small_policy, SPEC
import pytest
import torch

from vla_ros.training.config import load_config
from vla_ros.training.recipes import recipe_for
from vla_ros.training.recipes.decision_transformer import rows_to_go


def chunk(*heights):
    actions = torch.zeros(1, len(heights), 8)
    actions[0, :, 2] = torch.tensor(heights)
    return actions


@pytest.mark.parametrize(
    ('heights', 'rows'),
    [
        ((1.0, 1.0, 1.0, 1.0), 0),
        ((1.0, 2.0, 2.0, 2.0), 1),
        ((1.0, 2.0, 3.0, 3.0), 2),
        ((1.0, 2.0, 3.0, 4.0), 3),
        ((1.0, float('nan'), 3.0, 4.0), -1),
    ],
)
def test_rows_are_counted_until_the_hand_rests(heights, rows):
    assert rows_to_go(chunk(*heights)).tolist() == [rows]


def test_a_gripper_that_moves_keeps_no_hand_from_resting():
    actions = chunk(1.0, 1.0, 1.0)
    actions[0, 1:, 7] = 1.0
    assert rows_to_go(actions).tolist() == [0]


def test_it_acts_with_what_was_to_go_and_learns_to_guess_that():
    torch.manual_seed(0)
    policy = small_policy('decision_transformer').eval()
    recipe = recipe_for('decision_transformer')(policy, SPEC, load_config())
    shown = recipe._shown(small_lesson())
    output, losses, _ = recipe._learn(shown)
    to_go = rows_to_go(shown.actions)
    wanted, logits = policy.decide(*shown.given, to_go)
    assert torch.equal(output.actions, wanted.actions)
    loss = torch.nn.functional.cross_entropy(logits, to_go, ignore_index=-1)
    torch.testing.assert_close(losses['to_go'], loss)
