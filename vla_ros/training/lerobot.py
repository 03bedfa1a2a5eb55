"""
Episodes as a LeRobot dataset of format v3.0, written and read with pyarrow alone.

::

    meta/info.json                              features, rate, counts; written last
    meta/stats.json                             of every feature, for normalisation
    meta/tasks.parquet                          task_index of each sentence
    meta/episodes/chunk-000/file-000.parquet    where each episode lies, and its scene
    data/chunk-000/file-000.parquet             the frames, one row group an episode

Pictures are PNG inside the parquet files: exact, and read without a video decoder. Each episode
is first a file of its own, a part, made by whichever process; ``merge`` joins the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
import pyarrow as pa
import pyarrow.parquet as pq

from vla_ros.errors import ConfigurationError
from vla_ros.interfaces import GRIPPER_CHANNEL, POSE_CHANNELS, STATE_CHANNELS
from vla_ros.sim.scene import SceneSpec
from vla_ros.sim.scene_json import scene_from_json, scene_to_json
from vla_ros.sim.tasks import Task
from vla_ros.training.lerobot_stats import aggregate, feature_stats, image_stats, Stats

FPS = 10
ROBOT_TYPE = 'vla_ros_tabletop'
IMAGE = 'observation.images.front'
STATE = 'observation.state'
ACTION = 'action'
ACTION_CHANNELS = (*POSE_CHANNELS, GRIPPER_CHANNEL)

INFO_PATH = 'meta/info.json'
_STATS_PATH = 'meta/stats.json'
_TASKS_PATH = 'meta/tasks.parquet'
_EPISODES_PATH = 'meta/episodes/chunk-000/file-000.parquet'
_DATA_PATH = 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
_CHUNK_FILES = 1000
_FILE_MB = 100
#: Columns that depend on the other episodes, which a part knows nothing of.
_PLACES = ('episode_index', 'index', 'task_index')
_PART_KEY = b'vla_ros'


@dataclass(frozen=True, eq=False)
class Episode:
    """
    One task, from the first frame to its success; n frames at ``FPS``.

    ``images`` (n, h, w, 3) uint8 RGB and ``states`` (n, 8) float32 (STATE_CHANNELS) are what was
    seen, ``actions`` (n, 8) float32 (ACTION_CHANNELS) what was then commanded, ``success`` (n,)
    whether the task was fulfilled after it. ``text`` asks for ``task`` in ``scene``.
    """

    task: Task
    text: str
    scene: SceneSpec
    images: NDArray[np.uint8]
    states: NDArray[np.float32]
    actions: NDArray[np.float32]
    success: NDArray[np.bool_]


def features(image_size_px: int) -> dict[str, dict[str, Any]]:
    """Return dtype, shape and names of every column of the data, as LeRobot writes them."""
    return {
        IMAGE: {
            'dtype': 'image',
            'shape': [image_size_px, image_size_px, 3],
            'names': ['height', 'width', 'channels'],
        },
        STATE: {'dtype': 'float32', 'shape': [8], 'names': list(STATE_CHANNELS)},
        ACTION: {'dtype': 'float32', 'shape': [8], 'names': list(ACTION_CHANNELS)},
        **{name: _scalar('bool') for name in ('next.done', 'next.success')},
        'timestamp': _scalar('float32'),
        **{name: _scalar('int64') for name in ('frame_index', *_PLACES)},
    }


def write_part(path: Path, episode: Episode) -> None:
    """Write one episode; the file appears under its name only when it is complete."""
    n, size = len(episode.actions), episode.images.shape[1]
    columns = {
        IMAGE: [{'bytes': _png(image), 'path': None} for image in episode.images],
        STATE: list(episode.states),
        ACTION: list(episode.actions),
        'next.done': np.arange(n) == n - 1,
        'next.success': episode.success,
        'timestamp': np.arange(n) / FPS,
        'frame_index': np.arange(n),
    }
    about = {
        'task': asdict(episode.task),
        'text': episode.text,
        'scene': scene_to_json(episode.scene),
        'image_stats': image_stats(episode.images),
    }
    schema = _schema({k: v for k, v in features(size).items() if k in columns})
    table = pa.Table.from_pydict(columns, schema).replace_schema_metadata(
        {_PART_KEY: json.dumps(about)}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    pq.write_table(table, partial)
    partial.replace(path)


def merge(folder: Path, parts: Sequence[Path], split: str, image_size_px: int) -> None:
    """
    Join the parts, in their order, to the dataset ``folder``; ``split`` is its name for them all.

    ``meta/info.json`` appears last: a folder that has it is complete.
    """
    described = features(image_size_px)
    schema = _schema(described)
    tasks: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    stats: list[Stats] = []
    files = _DataFiles(folder, schema)
    for i, part in enumerate(parts):
        table = pq.read_table(part)
        about = json.loads(table.schema.metadata[_PART_KEY])
        start, n = files.frames, len(table)
        places = {
            'episode_index': np.full(n, i),
            'index': np.arange(start, start + n),
            'task_index': np.full(n, tasks.setdefault(about['text'], len(tasks))),
        }
        for name, values in places.items():
            table = table.append_column(name, pa.array(values, pa.int64()))
        table = table.select(schema.names).cast(schema)
        stats.append({IMAGE: about['image_stats'], **_stats(table, described)})
        rows.append(
            {
                'episode_index': i,
                'tasks': [about['text']],
                'length': n,
                'task_key': Task(**about['task']).key,
                'scene': about['scene'],
                **files.write(table),
                'dataset_from_index': start,
                'dataset_to_index': start + n,
                'meta/episodes/chunk_index': 0,
                'meta/episodes/file_index': 0,
                **{f'stats/{k}/{s}': v for k, of in stats[i].items() for s, v in of.items()},
            }
        )
    files.close()
    _write_table(folder / _EPISODES_PATH, pa.Table.from_pylist(rows))
    _write_table(folder / _TASKS_PATH, _tasks_table(list(tasks)))
    _write_json(folder / _STATS_PATH, aggregate(stats))
    _write_json(
        folder / INFO_PATH,
        {
            'codebase_version': 'v3.0',
            'robot_type': ROBOT_TYPE,
            'total_episodes': len(rows),
            'total_frames': files.frames,
            'total_tasks': len(tasks),
            'chunks_size': _CHUNK_FILES,
            'data_files_size_in_mb': _FILE_MB,
            'video_files_size_in_mb': 200,
            'fps': FPS,
            'splits': {split: f'0:{len(rows)}'},
            'data_path': _DATA_PATH,
            'video_path': None,
            'features': described,
        },
    )


def read_episode(folder: Path, index: int) -> Episode:
    """Return an episode of the dataset; raises ConfigurationError if it is not there."""
    if not (folder / INFO_PATH).is_file():
        raise ConfigurationError(
            f'{folder} holds no complete dataset (no {INFO_PATH}): make one with '
            f'"vla-ros demos --out {folder}"'
        )
    found = pq.read_table(folder / _EPISODES_PATH)
    if 'scene' not in found.column_names:
        raise ConfigurationError(
            f'{folder} was not recorded by vla-ros demos: its episodes have no scene to rebuild'
        )
    if not 0 <= index < len(found):
        raise ConfigurationError(f'episode {index} is not in {folder}: it has 0..{len(found) - 1}')
    row = {name: found[name][index].as_py() for name in found.column_names}
    place = _DATA_PATH.format(
        chunk_index=row['data/chunk_index'], file_index=row['data/file_index']
    )
    table = pq.read_table(folder / place, filters=[('episode_index', '=', index)])
    kind, name, zone = row['task_key'].split('|')
    return Episode(
        task=Task(kind, name, zone or None),
        text=row['tasks'][0],
        scene=scene_from_json(row['scene']),
        images=np.stack([_pixels(cell['bytes']) for cell in table[IMAGE].to_pylist()]),
        states=_array(table, STATE),
        actions=_array(table, ACTION),
        success=_array(table, 'next.success'),
    )


class _DataFiles:
    """Frames go to one file until it is ``_FILE_MB`` large, then to the next."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema
        self._number = 0
        self._writer: pq.ParquetWriter | None = None
        self.frames = 0

    def write(self, table: pa.Table) -> dict[str, int]:
        """Add the frames of one episode; return where they are."""
        chunk, file = divmod(self._number, _CHUNK_FILES)
        path = self._folder / _DATA_PATH.format(chunk_index=chunk, file_index=file)
        if self._writer is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, self._schema)
        self._writer.write_table(table)
        self.frames += len(table)
        if path.stat().st_size > _FILE_MB * 2**20:
            self.close()
        return {'data/chunk_index': chunk, 'data/file_index': file}

    def close(self) -> None:
        """End the file; frames that follow go to the next."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._number += 1


def _scalar(dtype: str) -> dict[str, Any]:
    return {'dtype': dtype, 'shape': [1], 'names': None}


def _schema(described: dict[str, dict[str, Any]]) -> pa.Schema:
    """Return the columns, with the metadata by which ``datasets`` knows what is a picture."""
    fields: list[pa.Field] = []
    known: dict[str, dict[str, Any]] = {}
    for name, feature in described.items():
        if feature['dtype'] == 'image':
            kind = pa.struct([('bytes', pa.binary()), ('path', pa.string())])
            known[name] = {'_type': 'Image'}
        else:
            kind = pa.type_for_alias(feature['dtype'])
            known[name] = {'dtype': feature['dtype'], '_type': 'Value'}
            (length,) = feature['shape']
            if length > 1:
                kind = pa.list_(kind, length)
                known[name] = {'feature': known[name], 'length': length, '_type': 'List'}
        fields.append(pa.field(name, kind))
    return pa.schema(fields, {'huggingface': json.dumps({'info': {'features': known}})})


def _stats(table: pa.Table, described: dict[str, dict[str, Any]]) -> Stats:
    return {
        name: feature_stats(_array(table, name))
        for name, feature in described.items()
        if feature['dtype'] != 'image'
    }


def _array(table: pa.Table, name: str) -> NDArray:
    """Return a column (n,) or (n, d)."""
    column = table[name].combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), -1)
    return column.to_numpy(zero_copy_only=False)


def _tasks_table(tasks: list[str]) -> pa.Table:
    """Return the tasks as pandas writes a frame whose index is their text."""
    column = {'metadata': None, 'field_name': 'task_index', 'name': 'task_index'}
    index = {'metadata': None, 'field_name': 'task', 'name': 'task'}
    pandas = {
        'index_columns': ['task'],
        'column_indexes': [],
        'columns': [
            {**column, 'pandas_type': 'int64', 'numpy_type': 'int64'},
            {**index, 'pandas_type': 'unicode', 'numpy_type': 'object'},
        ],
        'creator': {'library': 'pyarrow', 'version': pa.__version__},
        'pandas_version': '2.0.0',
    }
    table = pa.table({'task_index': pa.array(range(len(tasks)), pa.int64()), 'task': tasks})
    return table.replace_schema_metadata({'pandas': json.dumps(pandas)})


def _png(image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode('.png', image[..., ::-1])[1].tobytes()


def _pixels(png: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image, dtype=np.uint8)[..., ::-1]


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(document, indent=4) + '\n', encoding='utf-8')
    partial.replace(path)
