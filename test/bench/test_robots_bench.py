import json

import pytest
from tiny_policy import write_policy
import torch

from vla_ros.bench.robots import Growth, measure, observations, table
from vla_ros.bench.rounds import Ratio
from vla_ros.cli import main
from vla_ros.pipeline.policy import load_policy


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    torch.set_num_threads(1)
    return write_policy(tmp_path_factory.mktemp('policy') / 'tiny.pt')


class Noting:
    """The policy, and how it was asked."""

    def __init__(self, policy):
        self.manifest = policy.manifest
        self.asked = []

    def infer_all(self, seen):
        self.asked.append(len(seen))

    def infer(self, observation):
        self.asked.append('alone')


def test_robots_are_served_together_and_one_by_one_in_turns(path):
    policy = Noting(load_policy(path))
    measure(policy, counts=[3], rounds=1, calls=2)
    turn = [3, *3 * ['alone']]
    assert policy.asked == [3, *turn, *turn]


def test_every_robot_sees_something_else_that_the_policy_takes(path):
    policy = load_policy(path)
    seen = observations(policy.manifest, 2)
    assert len(policy.infer_all(seen)) == 2
    assert (seen[0].images != seen[1].images).any()


def test_the_table_tells_how_many_are_served_a_second():
    growth = Growth(8, together_ms=4.0, each_ms=16.0, gain=Ratio(4.0, 3.9, 4.1))
    assert table([growth]).splitlines()[1].split() == [
        *('8', '4.00', '16.00', '2000', '4.00', '[3.90,', '4.10]')
    ]


def test_the_command_writes_the_figures_and_the_curve(path, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    flags = ['--counts', '1,2', '--rounds', '2', '--calls', '1', '--policy', str(path)]
    out, picture = tmp_path / 'robots.json', tmp_path / 'robots.png'
    flags += ['--json', str(out), '--picture', str(picture)]
    assert main(['bench', 'robots', *flags]) == 0
    assert 'served a second' in capsys.readouterr().out
    assert [g['robots'] for g in json.loads(out.read_text())['growth']] == [1, 2]
    assert picture.stat().st_size > 1000
