from dataclasses import replace

from every_policy import small_lesson, small_policy, SPEC
import numpy as np
import pytest
import torch

from vla_ros.interfaces import REFUSALS
from vla_ros.models.contract import PolicyOutput
from vla_ros.models.heads.chunk import chunk_actions
from vla_ros.models.layers.gaze import LOOKS, Looks
from vla_ros.models.vision.cells import OBJECT_PLANE_M
from vla_ros.training.batches import on_table
from vla_ros.training.config import load_config
from vla_ros.training.recipes import recipe_for
from vla_ros.training.recipes.imitation import as_chunk, ImitationRecipe, wanted_task
from vla_ros.training.recipes.keypoint import KeypointRecipe
from vla_ros.training.rehearsal import Rehearsal
from vla_ros.training.sentences import SentenceBank

CONFIG = load_config()
POINT, PICK, PUSH, PUT = range(len(REFUSALS), len(SPEC.tasks))
CLEAR = torch.zeros(12, dtype=torch.bool)


@pytest.fixture
def recipe():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return ImitationRecipe(small_policy('late').eval(), SPEC, CONFIG)


def test_a_policy_without_a_recipe_of_its_own_learns_by_imitation():
    assert recipe_for('early') is ImitationRecipe
    assert recipe_for('keypoint') is KeypointRecipe


def test_a_row_is_for_its_task_or_for_the_refusal_of_it():
    frames = small_lesson().frames
    unclear = CLEAR.clone()
    unclear[1] = True
    none, not_clear, absent = range(3)
    wanted = [PUT, not_clear, none, PUT, PICK, none, PUT, PICK, none, PUT, PICK, absent]
    assert wanted_task(frames, unclear).tolist() == wanted


def test_a_zone_that_is_not_there_is_refused_as_the_object_is():
    frames = small_lesson().frames
    gone = frames._replace(zone_there=torch.zeros(12))
    assert wanted_task(gone, CLEAR).tolist() == [2] * 12


def test_what_is_demonstrated_goes_straight_to_where_the_expert_does(recipe):
    frames = small_lesson().frames
    actions, done = recipe.demonstrated(frames, CLEAR)
    torch.testing.assert_close(actions[:2, 0, :3], frames.state[:2, :3])
    way = frames.position[:2] - frames.state[:2, :3]
    gone = actions[:2, -1, :3] - frames.state[:2, :3]
    torch.testing.assert_close(
        torch.nn.functional.normalize(gone), torch.nn.functional.normalize(way)
    )
    assert done[:2].tolist() == [[0.0] * 4, [1.0] * 4]


def test_nothing_is_demonstrated_where_nobody_knows_or_can_tell(recipe):
    unclear = CLEAR.clone()
    unclear[0] = True
    actions, done = recipe.demonstrated(small_lesson().frames, unclear)
    for row in (0, 2):
        assert actions[row].isnan().any(dim=-1).all()
        assert done[row].isnan().all()


def test_what_a_policy_returns_becomes_the_chunk_that_it_came_from():
    actions = torch.tensor([[[0.4, 0.1, 0.2, 1.0, 0.0, 0.0, 0.0, 0.9]]])
    output = PolicyOutput(actions, torch.tensor([[0.2]]), torch.zeros(1, 7), torch.zeros(1))
    chunk = as_chunk(output)
    torch.testing.assert_close(chunk_actions(chunk), actions)
    torch.testing.assert_close(torch.sigmoid(chunk.termination_logit), output.termination)


def test_chances_of_nought_and_one_have_finite_logits():
    actions = torch.tensor([[[0.0] * 7 + [1.0]]])
    output = PolicyOutput(actions, torch.zeros(1, 1), torch.zeros(1, 7), torch.zeros(1))
    assert all(part.isfinite().all() for part in as_chunk(output))


def test_attention_on_what_is_named_costs_less_than_elsewhere(recipe):
    frames = small_lesson().frames
    frames = frames._replace(zone_px=torch.full((12, 2), float('nan')))
    costs = []
    for column, row in ((1, 2), (3, 0)):  # of cells of 8 pixels; the first object is at (8, 20)
        attention = torch.full((12, 5, 4, 4), 1e-3)
        attention[:, 1, row, column] = 1.0
        costs.append(float(recipe._heat(attention[:1], _row(frames, 0), CLEAR[:1])))
    assert costs[0] < costs[1]


@pytest.mark.parametrize(('look', 'named'), [(0, 'object_px'), (1, 'zone_px')])
def test_each_look_is_taught_to_be_at_what_it_is_for(recipe, look, named):
    frames = small_lesson().frames
    clear = CLEAR | (frames.zone_px.isnan().any(dim=1))  # rows that name both
    middles = recipe._cells
    there = (getattr(frames, named)[0] - middles).norm(dim=-1).argmin()
    xy = on_table(middles, SPEC.camera, OBJECT_PLANE_M)
    costs = []
    for cell in (int(there), (int(there) + 5) % len(middles)):
        scores = torch.zeros(12, LOOKS, len(middles))
        points = torch.zeros(12, LOOKS, 2)
        scores[:, look, cell] = 10.0
        points[:, look] = xy[cell]
        looks = Looks(scores, points, torch.zeros(12, LOOKS, 1))
        costs.append(recipe._looking(looks, frames, clear))
    assert costs[0]['gaze'] < costs[1]['gaze']
    assert costs[0]['point'] < costs[1]['point']


def test_only_what_needs_a_look_is_taught_where_to_look(recipe):
    lesson = small_lesson()
    chunk = ImitationRecipe(small_policy('late', head='chunk').eval(), SPEC, CONFIG)
    assert {'gaze', 'point'} <= recipe(lesson).keys()
    assert not {'gaze', 'point'} & chunk(lesson).keys()


def test_what_to_do_is_learned_by_rehearsing_alone(recipe):
    lesson = small_lesson()
    head = recipe._head
    before = recipe(lesson)['rehearsed'].item()
    optimiser = torch.optim.Adam(head.act.parameters(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        recipe._rehearsed(head, lesson.rehearsal).backward()
        optimiser.step()
    assert recipe(lesson)['rehearsed'].item() < 0.2 * before
    points = recipe._on_table(lesson.rehearsal.seen_px)
    points = torch.where(points.isfinite(), points, points[:, :1])
    chances = head.rehearse(lesson.rehearsal.task, points, lesson.rehearsal.state)
    assert (chances.gripper_logit[:, 0] > 0.0).tolist() == [False, True]
    assert (chances.termination_logit[:, 0] > 0.0).tolist() == [True, False]


def test_what_is_hidden_is_not_rehearsed(recipe):
    known = small_lesson().rehearsal
    hidden = known._replace(seen_px=known.seen_px.index_fill(1, torch.tensor([0]), torch.nan))
    both = Rehearsal(*(torch.cat(parts) for parts in zip(known, hidden, strict=True)))
    losses = []
    for some in (known, both):
        recipe.random.manual_seed(0)
        losses.append(recipe._rehearsed(recipe._head, some))
    assert losses[0].isfinite()
    assert abs(losses[1] - losses[0]) < 0.1 * losses[0]


def test_a_policy_without_a_waypoint_head_rehearses_nothing(recipe):
    lesson = small_lesson()
    chunk = ImitationRecipe(small_policy('late', head='chunk').eval(), SPEC, CONFIG)
    assert 'rehearsed' in recipe(lesson)
    assert 'rehearsed' not in chunk(lesson)
    assert 'rehearsed' not in recipe(lesson._replace(rehearsal=None))


def _row(frames, row):
    return frames._replace(
        object_px=frames.object_px[row : row + 1], zone_px=frames.zone_px[row : row + 1]
    )


def test_a_policy_that_tells_no_attention_is_not_taught_to_look(recipe):
    class Blind(type(recipe._policy)):
        def traits(self):
            return replace(super().traits(), attention='saliency')

    recipe._policy.__class__ = Blind
    blind = ImitationRecipe(recipe._policy, SPEC, CONFIG)
    lesson = small_lesson()
    assert 'heat' in recipe(lesson)
    assert 'heat' not in blind(lesson)


def test_every_loss_has_a_weight(recipe):
    assert recipe(small_lesson()).keys() <= CONFIG.loss_weights.keys()


def test_each_process_draws_its_share_of_the_sentences(recipe):
    lesson = small_lesson()
    classes = np.array([[4, 0, 2, 3], [2, 1, 0, -1], [0, -1, -1, -1], [1, 7, 0, -1]] * 50)
    classes = np.concatenate([classes, [[2, 6, 3, -1]]])
    count = len(classes)
    bank = SentenceBank(
        np.zeros((count, 1), np.float16), np.arange(count), np.ones(count, int), classes
    )
    config = replace(CONFIG, batch=replace(CONFIG.batch, frames=4, commands=3))
    choose = ImitationRecipe(recipe._policy, SPEC, config).chooser(bank)
    meaning = lesson.frames.meaning
    meaning.task[-1], meaning.colour[-1], meaning.shape[-1] = 0, -1, -1

    def rows(share):
        mine = torch.arange(4)[share]
        of_mine = (3 * mine[:, None] + torch.arange(3)).flatten()
        frames = lesson.frames._replace(
            meaning=type(meaning)(*(part[of_mine] for part in meaning))
        )
        return choose(frames, np.random.default_rng(3), share).reshape(-1, 3)

    together = rows(slice(0, None, 1))
    np.testing.assert_array_equal(together[1::2], rows(slice(1, None, 2)))
    said = classes[together.ravel()]
    clear = said[:, 1] != 7
    wanted = torch.stack(meaning, dim=1).numpy()
    assert clear.any()
    np.testing.assert_array_equal(said[clear, 0], wanted[clear, 0])
