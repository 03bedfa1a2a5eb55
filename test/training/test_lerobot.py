import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import STATE_CHANNELS
from vla_ros.sim.scene import ObjectSpec, SceneSpec, ZoneSpec
from vla_ros.sim.tasks import Task
from vla_ros.training import lerobot
from vla_ros.training.lerobot import Episode, features, merge, read_episode, write_part

SIZE = 8


def made_up(length: int, text: str, zone: str | None = 'green') -> Episode:
    rng = np.random.default_rng(length)
    scene = SceneSpec(
        objects=(ObjectSpec('red', 'block', 0.1 + 0.2, -0.1, 1 / 3),),
        zones=(ZoneSpec('green', 0.4, 0.2),),
        start=(0.4, 0.0, 0.2),
    )
    return Episode(
        task=Task('put' if zone else 'pick', 'red block', zone),
        text=text,
        scene=scene,
        images=rng.integers(0, 256, (length, SIZE, SIZE, 3), dtype=np.uint8),
        states=rng.standard_normal((length, 8)).astype(np.float32),
        actions=rng.standard_normal((length, 8)).astype(np.float32),
        success=np.arange(length) >= length - 2,
    )


EPISODES = [
    made_up(5, 'put the red block in the green zone'),
    made_up(3, 'lift the red block', zone=None),
    made_up(4, 'put the red block in the green zone'),
]


def write(folder: Path) -> Path:
    parts = [folder / 'parts' / f'{i}.parquet' for i in range(len(EPISODES))]
    for part, episode in zip(parts, EPISODES, strict=True):
        write_part(part, episode)
    merge(folder, parts, 'train', SIZE)
    return folder


@pytest.fixture(scope='module')
def dataset(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp('dataset'))


@pytest.fixture(scope='module')
def data(dataset: Path):
    return pq.read_table(dataset / 'data' / 'chunk-000' / 'file-000.parquet')


@pytest.fixture(scope='module')
def episodes(dataset: Path) -> list[dict]:
    path = dataset / 'meta' / 'episodes' / 'chunk-000' / 'file-000.parquet'
    return pq.read_table(path).to_pylist()


def assert_same(read: Episode, written: Episode):
    assert (read.task, read.text, read.scene) == (written.task, written.text, written.scene)
    for name in ('images', 'states', 'actions', 'success'):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name), name)


@pytest.mark.parametrize('index', range(len(EPISODES)))
def test_an_episode_is_read_as_it_was_written(dataset: Path, index: int):
    assert_same(read_episode(dataset, index), EPISODES[index])


def test_full_files_are_followed_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lerobot, '_FILE_MB', 0)
    write(tmp_path)
    assert len(list(tmp_path.glob('data/chunk-000/*.parquet'))) == len(EPISODES)
    assert_same(read_episode(tmp_path, 2), EPISODES[2])


def test_info_tells_what_lerobot_reads(dataset: Path):
    info = json.loads((dataset / 'meta' / 'info.json').read_text())
    counts = {name: info[f'total_{name}'] for name in ('episodes', 'frames', 'tasks')}
    assert counts == {'episodes': 3, 'frames': 12, 'tasks': 2}
    assert (info['codebase_version'], info['fps'], info['splits']) == (
        'v3.0',
        10,
        {'train': '0:3'},
    )
    assert info['data_path'].format(chunk_index=0, file_index=0) == (
        'data/chunk-000/file-000.parquet'
    )
    assert info['features']['observation.state']['names'] == list(STATE_CHANNELS)


def test_the_columns_are_the_features(data):
    assert data.column_names == list(features(SIZE))
    assert {str(data.schema.field(name).type) for name in ('action', 'observation.state')} == {
        'fixed_size_list<element: float>[8]'
    }


def test_datasets_is_told_what_is_a_picture_and_how_long_vectors_are(data):
    known = json.loads(data.schema.metadata[b'huggingface'])['info']['features']
    assert known['observation.images.front'] == {'_type': 'Image'}
    assert known['action'] == {
        'feature': {'dtype': 'float32', '_type': 'Value'},
        'length': 8,
        '_type': 'List',
    }
    assert known['next.done'] == {'dtype': 'bool', '_type': 'Value'}


def test_a_picture_is_a_png_in_the_file(data):
    cell = data['observation.images.front'][0].as_py()
    assert cell['bytes'].startswith(b'\x89PNG')
    assert cell['path'] is None


def test_each_episode_is_a_row_group(dataset: Path):
    file = pq.ParquetFile(dataset / 'data' / 'chunk-000' / 'file-000.parquet')
    rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert rows == [5, 3, 4]


def test_frames_are_counted_in_the_episode_and_in_all(data):
    assert data['index'].to_pylist() == list(range(12))
    assert data['frame_index'].to_pylist() == [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3]
    assert data['episode_index'].to_pylist() == [0] * 5 + [1] * 3 + [2] * 4


def test_time_starts_anew_in_each_episode(data):
    expected = data['frame_index'].to_numpy() / 10
    np.testing.assert_allclose(data['timestamp'].to_numpy(), expected, rtol=1e-6)


def test_only_the_last_frame_is_done(data):
    assert np.flatnonzero(data['next.done'].to_numpy(zero_copy_only=False)).tolist() == [4, 7, 11]


def test_episodes_with_the_same_words_share_a_task(dataset: Path, data):
    tasks = pq.read_table(dataset / 'meta' / 'tasks.parquet').to_pydict()
    assert tasks == {'task_index': [0, 1], 'task': [EPISODES[0].text, EPISODES[1].text]}
    assert data['task_index'].to_pylist() == [0] * 5 + [1] * 3 + [0] * 4


def test_the_text_of_a_task_is_the_index_that_pandas_will_see(dataset: Path):
    metadata = pq.read_schema(dataset / 'meta' / 'tasks.parquet').pandas_metadata
    assert metadata['index_columns'] == ['task']


def test_the_table_of_episodes_tells_where_each_lies(episodes):
    assert [(e['dataset_from_index'], e['dataset_to_index']) for e in episodes] == [
        (0, 5),
        (5, 8),
        (8, 12),
    ]
    assert [e['length'] for e in episodes] == [5, 3, 4]
    assert episodes[1]['tasks'] == ['lift the red block']
    assert episodes[1]['task_key'] == 'pick|red block|'
    assert {(e['data/chunk_index'], e['data/file_index']) for e in episodes} == {(0, 0)}


def test_every_feature_has_statistics(dataset: Path, episodes):
    stats = json.loads((dataset / 'meta' / 'stats.json').read_text())
    assert set(stats) == set(features(SIZE))
    actions = np.concatenate([e.actions for e in EPISODES])
    np.testing.assert_allclose(stats['action']['mean'], actions.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        episodes[1]['stats/action/max'], EPISODES[1].actions.max(axis=0), atol=1e-6
    )


def test_an_unfinished_dataset_is_refused_with_the_fix(tmp_path: Path):
    with pytest.raises(ConfigurationError, match='no complete dataset.*vla-ros demos --out'):
        read_episode(tmp_path, 0)


@pytest.mark.parametrize('index', [-1, 3])
def test_an_episode_that_is_not_there_is_refused(dataset: Path, index: int):
    with pytest.raises(ConfigurationError, match=f'episode {index} is not in .*: it has 0..2'):
        read_episode(dataset, index)


def test_a_dataset_of_another_tool_is_refused(tmp_path: Path):
    write(tmp_path)
    path = tmp_path / 'meta' / 'episodes' / 'chunk-000' / 'file-000.parquet'
    pq.write_table(pq.read_table(path).drop_columns(['scene']), path)
    with pytest.raises(ConfigurationError, match='not recorded by vla-ros'):
        read_episode(tmp_path, 0)
