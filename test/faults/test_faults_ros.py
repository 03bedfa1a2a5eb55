"""
A few trials of the running pose node, and the proof that its judge sees a broken one.

Those that time something are left to ``make faults``, on a machine that does nothing else.
"""

from faults.bench import bench
from faults.every_promise import PROMISES
from faults.ledger import keep
import pytest

pytestmark = [pytest.mark.ros, pytest.mark.xdist_group('graph')]


@pytest.fixture(autouse=True)
def own_latch(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))


@pytest.mark.parametrize(('id', 'size'), [('A1.ros', 60), ('C1.ros', 60), ('D4', 10)])
def test_a_promise_of_the_running_nodes_is_kept(id, size, tmp_path):
    line = keep(PROMISES[id], size, seed=1, folder=tmp_path)
    assert line['violations'] == 0, line['examples']


@pytest.mark.parametrize('defect', ['', 'zeros_as_hold'])
def test_a_defect_in_the_running_node_is_heard(defect, tmp_path):
    with bench(tmp_path, defect=defect) as b:
        b.run()
        before = len(b.ears.records)
        b.player.call('estop')
        # A robot that jumped is outside the workspace, where a broken node too falls silent.
        enough = before + (1 if defect else 10)
        b.wait(lambda: len(b.ears.records) >= enough, 60.0, 'poses of a hold')
        assert bool(b.ears.judge().violations) == bool(defect)
