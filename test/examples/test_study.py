from dataclasses import replace

import numpy as np
import pytest
from tiny_table import tiny_frames
import torch

from examples.commands import mistakes
from examples.study import Figure, lines_of
from examples.table import demonstrate, load_table, Table, TableConfig, Words
from vla_ros.errors import ConfigurationError
from vla_ros.training.batches import mirror

#: Two shards of the fewest pictures.
BRIEF = TableConfig(scenes=11, episode_s=0.2, frames_per_scene=1)
CONFIG = TableConfig(scenes=10, episode_s=1.0, frames_per_scene=2)


@pytest.fixture
def table():
    return Table(tiny_frames(), np.repeat(np.arange(10), 3))


def line(values, against, lower_is_better=False):
    runs = [
        [Figure('x', *pair, 'y', lower_is_better)] for pair in zip(values, against, strict=True)
    ]
    return lines_of(runs)[0]


def test_a_claim_holds_where_the_whole_interval_is_better():
    assert line([0.9, 0.91], [0.5, 0.5]).holds
    assert not line([0.9, 0.4], [0.5, 0.5]).holds


def test_seeds_are_compared_pair_by_pair():
    # Each seed is better by 0.1, though seeds differ by much more.
    assert line([0.3, 0.8], [0.2, 0.7001]).holds


def test_an_error_is_better_if_it_is_lower():
    assert line([0.1, 0.11], [0.5, 0.5], lower_is_better=True).holds
    assert not line([0.5, 0.5], [0.1, 0.11], lower_is_better=True).holds


def test_a_figure_beside_nothing_claims_nothing():
    one = lines_of([[Figure('x', 1.0)], [Figure('x', 2.0)]])[0]
    assert (one.value.value, one.against, one.holds) == (1.5, None, None)


def test_no_scene_is_both_trained_on_and_held_out(table):
    known, new = table.split(seed=1)
    assert set(known.scene) & set(new.scene) == set()
    assert (len(known), len(new)) == (24, 6)


def test_each_seed_holds_out_other_scenes(table):
    assert set(table.split(seed=0)[1].scene) != set(table.split(seed=1)[1].scene)


def test_one_frame_counts_for_a_scene(table):
    _, new = table.split(seed=0)
    assert len(set(new.one_a_scene().scene)) == len(new.one_a_scene()) == 2


def test_scenes_are_told_apart_by_where_their_zones_are(tmp_path):
    np.save(tmp_path / 'a.npy', tiny_frames(scenes=3, per_scene=4, seed=0))
    np.save(tmp_path / 'b.npy', tiny_frames(scenes=2, per_scene=4, seed=1))
    loaded = load_table(tmp_path, CONFIG)
    assert loaded.scene.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_kept_frames_are_spread_over_their_scene(tmp_path):
    frames = tiny_frames(scenes=1, per_scene=5)
    np.save(tmp_path / 'a.npy', frames)
    loaded = load_table(tmp_path, CONFIG)
    assert np.array_equal(loaded.frames['image'], frames['image'][[0, 4]])


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demonstrations')
    demonstrate(folder, BRIEF, workers=1)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_demonstrations_that_were_killed_go_on_to_the_same(made):
    whole = contents(made)
    assert load_table(made, BRIEF).scene.max() == BRIEF.scenes - 1
    (made / 'seed0-0001.npy').unlink()
    demonstrate(made, BRIEF, workers=1)
    assert contents(made) == whole


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'scenes': 5}, 'episodes is 11 there and 5 here; remove it'),
        ({'episode_s': 0.4}, 'demonstrations.episode_s is 0.2 there and 0.4 here, demonstr'),
    ],
)
def test_demonstrations_of_other_settings_are_left_alone(made, changes, said):
    before = contents(made)
    with pytest.raises(ConfigurationError, match='has other demonstrations') as told:
        demonstrate(made, replace(BRIEF, **changes), workers=1)
    assert said in str(told.value)
    assert contents(made) == before


def test_demonstrations_that_do_not_tell_their_settings_are_left_alone(tmp_path):
    np.save(tmp_path / 'seed0-0000.npy', tiny_frames(scenes=3, per_scene=4))
    with pytest.raises(ConfigurationError, match='does not tell what .* remove it, or give it'):
        demonstrate(tmp_path, BRIEF, workers=1)


def test_a_folder_without_demonstrations_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match='has no demonstrations: give those'):
        load_table(tmp_path, CONFIG)


def test_some_frames_are_mirrored_and_the_others_left(table):
    mirrored = table.mirrored(np.random.default_rng(0)).frames['hand_px']
    other = mirror(table.frames)['hand_px']
    same = (mirrored == table.frames['hand_px']).all(axis=1)
    assert 0 < same.sum() < len(table)
    assert np.array_equal(mirrored[~same], other[~same])


def test_pictures_shrink_by_their_mean(table):
    small = table.pictures(48)
    assert small.shape == (30, 3, 48, 48)
    first = table.frames['image'][0, :2, :2, 0].mean() / 255.0
    assert float(small[0, 0, 0, 0]) == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize('hardness', [0.0, 2.0])
def test_a_wrong_command_names_what_is_not_there(table, hardness):
    tasks, random = table.tasks(), torch.Generator().manual_seed(0)
    wrong = mistakes(table, tasks, hardness, random)
    for things, place in zip(table.things(), wrong, strict=True):
        task = tasks[place]
        assert task.object not in things or (task.zone and f'{task.zone} zone' not in things)


def test_hard_mistakes_share_words_with_the_right_command(table):
    random = torch.Generator().manual_seed(0)
    tasks = table.tasks()

    def shared(hardness):
        pairs = zip(tasks, mistakes(table, tasks, hardness, random), strict=True)
        return sum(len({*a.object.split()} & {*tasks[b].object.split()}) for a, b in pairs)

    assert shared(hardness=8.0) > shared(hardness=-8.0)


def test_words_are_numbered_by_how_often_they_are_said():
    words = Words(['the red red block', 'the red ball'])
    ids, mask = words(['red the block', 'green'])
    assert words.names[:5] == ('[PAD]', '[MASK]', '[UNK]', 'red', 'the')
    assert ids.tolist() == [[3, 4, 5], [Words.UNKNOWN, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
