import errno
import os
from pathlib import Path
import sys
import types

import pytest

from vla_ros import paths
from vla_ros.errors import ConfigurationError


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No ament index, nothing installed, no source tree."""
    monkeypatch.setitem(sys.modules, 'ament_index_python.packages', None)
    monkeypatch.setattr(sys, 'prefix', str(tmp_path / 'prefix'))
    monkeypatch.setattr(paths, '_PACKAGE', tmp_path / 'source' / 'vla_ros')
    return tmp_path


def test_share_is_the_source_tree_where_nothing_is_installed(nowhere):
    (nowhere / 'source' / 'config').mkdir(parents=True)
    assert paths.share_dir() == nowhere / 'source'


def test_installed_share_wins_over_the_source_tree(nowhere):
    (nowhere / 'source' / 'config').mkdir(parents=True)
    installed = nowhere / 'prefix' / 'share' / 'vla_ros'
    (installed / 'config').mkdir(parents=True)
    assert paths.share_dir() == installed


def test_ament_index_wins_over_all(nowhere, monkeypatch):
    (nowhere / 'prefix' / 'share' / 'vla_ros' / 'config').mkdir(parents=True)
    (nowhere / 'ament' / 'config').mkdir(parents=True)
    index = types.SimpleNamespace(get_package_share_directory=lambda name: nowhere / 'ament')
    monkeypatch.setitem(sys.modules, 'ament_index_python.packages', index)
    assert paths.share_dir() == nowhere / 'ament'


def test_missing_share_is_told(nowhere):
    with pytest.raises(ConfigurationError, match='no config folder of vla_ros in .*install'):
        paths.share_dir()


def test_shipped_policy_lies_in_the_package():
    expected = Path(paths.__file__).parent / 'data' / 'policy' / 'tabletop.pt'
    assert paths.shipped_policy_path() == expected


@pytest.mark.parametrize(
    ('chosen', 'xdg', 'folder'),
    [
        ('/chosen', '/xdg', '/chosen'),
        ('~/chosen', '/xdg', '/home/me/chosen'),
        ('', '/xdg', '/xdg/vla_ros'),
        ('', '', '/home/me/.cache/vla_ros'),
        ('', 'relative', '/home/me/.cache/vla_ros'),
    ],
)
def test_cache_folder(monkeypatch, chosen, xdg, folder):
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.setenv('XDG_CACHE_HOME', xdg)
    assert paths.cache_dir(chosen) == Path(folder)


def test_user_without_a_home_is_told(monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', '')
    monkeypatch.setattr(os.path, 'expanduser', lambda path: path)
    with pytest.raises(ConfigurationError, match='choose one with cache_dir'):
        paths.cache_dir()


def test_cache_folder_is_made_to_be_written(tmp_path):
    with paths.writing_to(tmp_path / 'a' / 'b'):
        (tmp_path / 'a' / 'b' / 'file').touch()


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_failed_write_tells_what_to_do(tmp_path, code):
    with (
        pytest.raises(ConfigurationError, match=f'{os.strerror(code)}.*cache_dir'),
        paths.writing_to(tmp_path),
    ):
        raise OSError(code, os.strerror(code))


def test_state_lies_in_ros_home(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert paths.state_dir() == tmp_path / 'vla_ros'
    monkeypatch.delenv('ROS_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert paths.state_dir() == tmp_path / '.ros' / 'vla_ros'
