"""Where the processor time goes: how stacks are told apart, and that a graph is looked at."""

import pytest

from vla_ros.bench.pipeline import APART, Load, subjects
from vla_ros.bench.profile import (
    by_category,
    CATEGORIES,
    category,
    medians,
    MODEL,
    OTHER,
    profile,
    read_stacks,
    spy_path,
    table,
)
from vla_ros.errors import ConfigurationError

ROOT = 'main (vla_ros/nodes/inference_node.py:170);run (vla_ros/nodes/runner.py:80)'


@pytest.mark.parametrize(
    ('calls', 'wanted'),
    [
        ('infer_all (vla_ros/pipeline/policy.py:75);_call_impl (torch/nn/module.py:9)', MODEL),
        (
            '_on_image (nodes/camera_node.py:9);publish (rclpy/publisher.py:5)',
            'publishing',
        ),
        ('spin_once (rclpy/executors.py:9)', 'receiving and waiting'),
        (
            '_on_chunk (vla_ros/nodes/pose_node.py:9);chunk_from_message (conversions.py:3)',
            'messages to and from arrays',
        ),
        (
            'spin_once (rclpy/executors.py:9);observe (vla_ros/nodes/pose_report.py:9)',
            'the rest of the nodes',
        ),
        ('spin (vla_ros/nodes/executors.py:60)', 'receiving and waiting'),
        ('tick (vla_ros/pipeline/controller.py:1)', 'gate, chunk and motion'),
    ],
)
def test_the_innermost_call_that_is_known_tells_what_it_is_for(calls, wanted):
    assert category(f'{ROOT};{calls}') == wanted


def test_samples_of_alike_stacks_add_up():
    stacks = read_stacks(['a (rclpy/x.py:1);b (y.py:2) 3', 'c (z.py:1) 2', 'c (z.py:1) 1'])
    found = by_category(stacks)
    assert found['receiving and waiting'] == 3
    assert found[OTHER] == 3
    assert sum(found.values()) == 6


def test_the_table_has_a_line_for_each_category_and_the_sum():
    rounds = [dict.fromkeys(CATEGORIES, value) for value in (1.0, 3.0, 2.0)]
    lines = table({'one': medians(rounds)}).splitlines()
    assert len(lines) == len(CATEGORIES) + 2
    assert lines[-1].split() == ['all', f'{2.0 * len(CATEGORIES):.2f}']


def test_without_the_program_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr('sys.executable', str(tmp_path / 'python'))
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ConfigurationError, match=r'\.\[bench\]'):
        spy_path()


@pytest.mark.ros
@pytest.mark.graph
@pytest.mark.xdist_group('graph')
def test_the_policy_takes_a_share_of_the_processor(tmp_path):
    try:
        spy_path()
    except ConfigurationError as error:
        pytest.skip(str(error))
    load = Load(frames=30, rate_hz=15.0, size=(320, 240))
    assert profile(subjects(load)[APART], load, tmp_path)[MODEL] > 0.0
