import json

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.evaluation.command_file import EXAMPLE, read_commands
from vla_ros.sim.tasks import Task

PUT = {'task': 'put', 'object': 'blue ball', 'zone': 'green', 'text': 'there'}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'mine.jsonl'


def test_each_line_is_a_task_and_a_text(path):
    path.write_text(f'{EXAMPLE}\n\n{json.dumps(PUT)}\n')
    assert read_commands(path) == [
        (Task('pick', 'red block'), 'get the red cube'),
        (Task('put', 'blue ball', 'green'), 'there'),
    ]


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('no JSON', 'Expecting value'),
        ('[]', "got '\\[\\]', expected an object of task, object, zone, text"),
        (json.dumps({**PUT, 'speed': 1}), 'expected an object of'),
        (json.dumps({**PUT, 'text': None}), 'text: got null, expected a string'),
        (json.dumps({**PUT, 'task': 'throw'}), "unknown task 'throw'"),
        (json.dumps({**PUT, 'object': 'pink ball'}), "unknown object 'pink ball'"),
        (json.dumps({**PUT, 'zone': None}), 'put: push and put, and only they, name a zone'),
        (json.dumps({**PUT, 'zone': 'black'}), "unknown zone 'black'"),
        ('[' * 100_000, 'recursion'),
    ],
)
def test_a_line_that_asks_for_nothing_is_told_with_its_number(path, line, reason):
    path.write_text(f'{EXAMPLE}\n{line}\n')
    with pytest.raises(ConfigurationError, match=f'mine.jsonl, line 2: .*{reason}'):
        read_commands(path)


def test_a_file_without_commands_is_refused(path):
    path.write_text('\n')
    with pytest.raises(ConfigurationError, match='no commands'):
        read_commands(path)


def test_a_file_that_cannot_be_read_is_refused(path):
    with pytest.raises(ConfigurationError, match='cannot be read: No such file'):
        read_commands(path)
    path.write_bytes(b'\xff')
    with pytest.raises(ConfigurationError, match='no UTF-8'):
        read_commands(path)
