from every_policy import small_lesson, small_policy, SPEC
import pytest
import torch

from vla_ros.training.config import load_config
from vla_ros.training.questions import ANSWERS, Asked
from vla_ros.training.recipes import recipe_for


class Asker:
    """Asks two questions about each of four pictures, of which the second has no answer."""

    def draw(self, frames, random):
        answers = torch.zeros(8, len(ANSWERS))
        answers[:, ANSWERS.index('yes')] = 1.0
        answers[1::2] = torch.nan
        return Asked(torch.zeros(8, 3, 384), torch.ones(8, 3).bool(), answers)


@pytest.mark.parametrize(('reply', 'loss'), [('yes', 0.0), ('red', 100.0)])
def test_a_wrong_answer_costs_where_there_is_a_right_one(reply, loss):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = small_policy('multitask').eval()
    recipe = recipe_for('multitask')(policy, SPEC, load_config())
    recipe._questions = Asker()
    with torch.no_grad():
        policy.vqa.answers.zero_()
        policy.vqa.bias.fill_(-50.0)
        policy.vqa.bias[ANSWERS.index(reply)] = 50.0
    losses = recipe(small_lesson())
    assert losses['answers'].item() == pytest.approx(loss, abs=1e-4)
