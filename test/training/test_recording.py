from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import HELD_OUT_PAIRS
from vla_ros.sim.tasks import Task
from vla_ros.training import recording as module
from vla_ros.training.grammar import sentence
from vla_ros.training.lerobot import Episode, merge, read_episode
from vla_ros.training.recording import record, record_episode, Recording, replay

RECORDING = Recording(seed=3, split='train', image_size_px=16)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


@pytest.fixture(scope='module')
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('recorded') / 'demos'
    record(folder, RECORDING, episodes=2, workers=1)
    return folder


@pytest.fixture(scope='module', params=[0, 1, 2, 3], ids=['point', 'pick', 'push', 'put'])
def episode(request: pytest.FixtureRequest) -> Episode:
    return record_episode(TabletopEnv(16), RECORDING, request.param)


def test_an_episode_ends_in_success(episode: Episode):
    assert episode.success[-1]


def test_played_back_it_goes_the_same_way_to_the_same_success(episode: Episode):
    result = replay(episode)
    assert result.success
    assert result.error_m < 1e-6  # states are float32


def test_other_actions_do_not_succeed(episode: Episode):
    still = np.broadcast_to(episode.actions[0], episode.actions.shape)
    assert not replay(replace(episode, actions=still)).success


def test_actions_keep_the_speed_limit_of_the_gate(episode: Episode):
    way_m = np.linalg.norm(np.diff(episode.actions[:, :3], axis=0), axis=1)
    assert way_m.max() <= 0.25 * 0.1 + 1e-6


def test_quaternions_have_one_sign(episode: Episode):
    assert (episode.states[:, 3] > 0.0).all()
    assert (episode.actions[:, 3] > 0.0).all()


def test_the_tasks_come_in_turn():
    env = TabletopEnv(16)
    kinds = [record_episode(env, RECORDING, i).task.kind for i in (0, 1, 4)]
    assert kinds == ['point', 'pick', 'point']


def test_other_words_do_not_change_the_motion(monkeypatch: pytest.MonkeyPatch):
    env = TabletopEnv(16)
    before = record_episode(env, RECORDING, 0)

    def wordier(task: Task, rng: np.random.Generator, *_: str) -> str:
        rng.random(100)
        return sentence(task, rng, 'test', 'test')

    monkeypatch.setattr(module, 'sentence', wordier)
    after = record_episode(env, RECORDING, 0)
    assert after.text != before.text
    np.testing.assert_array_equal(after.actions, before.actions)


def test_every_split_has_scenes_and_motions_of_its_own():
    env = TabletopEnv(16)
    train, *others = (
        record_episode(env, replace(RECORDING, split=split), 0)
        for split in ('train', 'validation', 'test')
    )
    for other in others:
        assert other.scene.start != train.scene.start
        assert not np.array_equal(other.states[0], train.states[0])
    assert others[0].scene != others[1].scene


@pytest.mark.parametrize('split', ['train', 'validation'])
def test_held_out_objects_are_not_shown(split: str):
    env, recording = TabletopEnv(16), replace(RECORDING, split=split)
    scenes = [record_episode(env, recording, 4 * i).scene for i in range(5)]
    shown = {spec.name for scene in scenes for spec in scene.objects}
    assert not shown & set(HELD_OUT_PAIRS)


def test_the_split_test_asks_for_held_out_objects():
    env, recording = TabletopEnv(16), replace(RECORDING, split='test')
    asked = {record_episode(env, recording, i).task.object for i in range(2)}
    assert asked <= set(HELD_OUT_PAIRS)


def test_another_seed_gives_another_scene():
    env = TabletopEnv(16)
    episodes = [record_episode(env, replace(RECORDING, seed=seed), 0) for seed in (0, 1)]
    assert episodes[0].scene != episodes[1].scene


def test_a_recorded_scene_looks_the_same_again(dataset: Path):
    recorded, env = read_episode(dataset, 1), TabletopEnv(16)
    env.reset(scene=recorded.scene)
    np.testing.assert_array_equal(env.render(), recorded.images[0])


def test_nothing_but_the_dataset_is_left(dataset: Path):
    assert sorted(path.name for path in dataset.iterdir()) == ['data', 'meta']


def test_a_killed_recording_goes_on_to_the_same_dataset(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, 'merge', killed)
        with pytest.raises(KeyboardInterrupt):
            record(tmp_path, RECORDING, episodes=2, workers=1)
    kept, lost = sorted(tmp_path.glob('parts/*.parquet'))
    lost.unlink()
    made = kept.stat().st_mtime_ns
    seen = []
    monkeypatch.setattr(
        module, 'merge', lambda *args: (seen.append(kept.stat().st_mtime_ns), merge(*args))
    )
    record(tmp_path, RECORDING, episodes=2, workers=2)
    assert seen == [made]
    assert contents(tmp_path) == contents(dataset)


def test_a_complete_dataset_is_left_as_it_is(dataset: Path):
    before = contents(dataset)
    record(dataset, RECORDING, episodes=2, workers=1)
    assert contents(dataset) == before


def test_another_number_of_episodes_is_refused(dataset: Path):
    with pytest.raises(ConfigurationError, match='complete with 2 episodes, not 5'):
        record(dataset, RECORDING, episodes=5, workers=1)


def test_other_settings_are_refused(dataset: Path):
    with pytest.raises(ConfigurationError, match='seed 3, not 4'):
        record(dataset, replace(RECORDING, seed=4), episodes=2, workers=1)


def test_a_folder_with_other_files_is_refused(tmp_path: Path):
    (tmp_path / 'thesis.txt').touch()
    with pytest.raises(ConfigurationError, match='neither empty nor a recording'):
        record(tmp_path, RECORDING, episodes=1, workers=1)
