"""The file that remembers the e-stop."""

import pytest

from vla_ros.nodes.estop_latch import EstopLatch, latch_path

pytestmark = pytest.mark.ros


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'new' / 'estop'


def test_it_is_remembered_by_the_next_process(path):
    assert not EstopLatch(path).is_set
    EstopLatch(path).set(True)
    assert EstopLatch(path).is_set
    EstopLatch(path).set(False)
    assert not EstopLatch(path).is_set


def test_the_file_tells_who_finds_it_what_it_is(path):
    EstopLatch(path).set(True)
    assert 'vla-ros reset --estop' in path.read_text()


def test_setting_what_is_set_touches_no_file(path):
    latch = EstopLatch(path)
    latch.set(True)
    path.unlink()
    latch.set(True)
    assert not path.exists()


def test_whatever_stands_there_counts_as_latched(tmp_path):
    (tmp_path / 'estop').mkdir()
    assert EstopLatch(tmp_path / 'estop').is_set


def test_what_cannot_be_read_counts_as_latched(tmp_path):
    (tmp_path / 'file').write_text('')
    assert EstopLatch(tmp_path / 'file' / 'estop').is_set


def test_each_node_and_domain_has_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    assert latch_path('/left/pose') == tmp_path / 'vla_ros' / 'estop_7_left.pose'
    monkeypatch.setenv('ROS_DOMAIN_ID', '8')
    assert latch_path('/pose') == tmp_path / 'vla_ros' / 'estop_8_pose'
