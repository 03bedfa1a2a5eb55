"""One graph on a domain and namespace."""

from pathlib import Path

import pytest

from vla_ros.domain import domain_id, only_graph
from vla_ros.errors import ConfigurationError


@pytest.mark.parametrize(('text', 'number'), [('', 0), ('0', 0), ('7', 7), ('232', 232)])
def test_the_domain_is_read(text: str, number: int):
    assert domain_id({'ROS_DOMAIN_ID': text}) == number


def test_without_a_domain_it_is_zero():
    assert domain_id({}) == 0


@pytest.mark.parametrize('text', ['-1', '233', 'one', '1.0', '²'])
def test_what_is_no_domain_is_refused(text: str):
    with pytest.raises(ConfigurationError, match='valid: 0 to 232'):
        domain_id({'ROS_DOMAIN_ID': text})


def test_a_second_graph_is_refused_and_told_of_the_first(tmp_path: Path):
    with (
        only_graph('arm', tmp_path),
        pytest.raises(ConfigurationError, match=r'runs already .* /arm \(process \d+\)'),
        only_graph('/arm/', tmp_path),
    ):
        pass


def test_another_namespace_is_another_graph(tmp_path: Path):
    with only_graph('left', tmp_path), only_graph('right', tmp_path):
        pass


def test_another_domain_is_another_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with only_graph('', tmp_path):
        monkeypatch.setenv('ROS_DOMAIN_ID', '9')
        with only_graph('', tmp_path):
            pass


def test_after_the_first_has_ended_there_may_be_another(tmp_path: Path):
    for _ in range(2):
        with only_graph('', tmp_path):
            pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with (
        pytest.raises(ConfigurationError, match='set XDG_RUNTIME_DIR'),
        only_graph('', tmp_path / 'file' / 'folder'),
    ):
        pass
