from every_policy import small_lesson, small_policy, SPEC
import pytest
import torch
from torch.nn import functional

from vla_ros.training.config import load_config
from vla_ros.training.recipes import recipe_for

#: How sure a guess is, and so what it costs where it is wrong.
SURE = 50.0


def losses(wrong_rows=(), wrong_places=()):
    """Return what it costs to guess all right, but for these rows and places of the answer."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = small_policy('rt2_tokens').eval()
    wrong = torch.zeros(12, 7, dtype=torch.int64)
    for row in wrong_rows:
        wrong[row, list(wrong_places)] = 1

    def guess(image, text, text_mask, state, answer):
        guessed = (answer + wrong) % policy.vocabulary
        logits = SURE * functional.one_hot(guessed, policy.vocabulary)
        return logits, torch.ones(12, text.shape[1], 2, 2)

    policy.guess = guess
    recipe = recipe_for('rt2_tokens')(policy, SPEC, load_config())
    return {name: loss.item() for name, loss in recipe(small_lesson()).items()}


def test_the_right_answers_cost_nothing():
    found = losses()
    assert found['language'] == pytest.approx(0.0, abs=1e-4)
    assert found['action'] == pytest.approx(0.0, abs=1e-4)


def test_a_wrong_task_costs_language_alone():
    found = losses(wrong_rows=[0], wrong_places=[0])
    assert found['language'] == pytest.approx(SURE / 12)
    assert found['action'] == pytest.approx(0.0, abs=1e-4)


def test_a_wrong_number_costs_its_share_of_those_that_are_known():
    found = losses(wrong_rows=[0], wrong_places=[3])
    assert found['language'] == pytest.approx(0.0, abs=1e-4)
    assert found['action'] == pytest.approx(SURE / (8 * 6))


def test_nothing_is_learned_of_numbers_that_nobody_knows():
    found = losses(wrong_rows=[2, 11], wrong_places=range(1, 7))
    assert found['action'] == pytest.approx(0.0, abs=1e-4)
