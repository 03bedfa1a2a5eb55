"""Every parameter of every node, given what it does not take."""

from dataclasses import fields
import math
import re

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
import yaml

from vla_ros import paths
from vla_ros.errors import ConfigurationError
from vla_ros.nodes.params import declare, NODE_PARAMS, PoseParams
from vla_ros.nodes.pose_node import PoseNode

pytestmark = pytest.mark.ros

#: Of another type than the parameter's, by the type of its default.
WRONG_TYPES = {
    int: ['1', 1.0, True, [1], [1.0]],
    float: ['1.0', 1, True, [1.0], ['a']],
    bool: ['true', 1, 0.0, [True]],
    str: [1, 1.0, True, ['raw']],
    tuple: [1.0, 'a', True, ['a'], [1, 2, 3]],
}
NO_TEXTS = [1.0, 'a', True, [1.0], [1, 2, 3]]
ALL = [
    pytest.param(cls, f, id=f'{node}.{f.name}')
    for node, cls in NODE_PARAMS.items()
    for f in fields(cls)
]


def declared(graph, cls: type, name: str, value: object):
    node = graph.add(
        Node('tried', parameter_overrides=[Parameter(name, value=value)], enable_rosout=False)
    )
    try:
        return getattr(declare(node, cls), name)
    finally:
        graph.remove(node)


def beyond(f) -> list[object]:
    low, high = f.metadata['ge'], f.metadata['le']
    if isinstance(f.default, float):
        way = high - low
        return [math.nan, math.inf, -math.inf, low - 0.01 * way, high + 0.01 * way, -1e300]
    return [low - 1, high + 1, -(2**62), 2**62]


def not_valid(cls, f) -> list[object]:
    default = getattr(cls(), f.name)
    if f.metadata.get('untyped'):
        return []  # its node judges
    bad = NO_TEXTS if default == ('',) else list(WRONG_TYPES[type(default)])
    if 'ge' in f.metadata:
        bad += beyond(f)
    if 'one_of' in f.metadata:
        bad += ['', 'none of these', f.metadata['one_of'][0].upper()]
    return bad


@pytest.mark.parametrize(('cls', 'f'), ALL)
def test_what_is_not_valid_is_refused_at_the_start_and_named(graph, cls, f):
    for value in not_valid(cls, f):
        with pytest.raises(ConfigurationError, match=f'tried: parameter {f.name}'):
            declared(graph, cls, f.name, value)


@pytest.mark.parametrize(('cls', 'f'), ALL)
def test_what_is_not_valid_is_refused_while_it_runs_and_the_old_value_kept(graph, cls, f):
    node = graph.add(Node('tried', enable_rosout=False))
    declare(node, cls)
    before = node.get_parameter(f.name).value
    for value in (*not_valid(cls, f), *([] if f.metadata.get('untyped') else [None])):
        result = node.set_parameters([Parameter(f.name, value=value)])[0]
        assert not result.successful, value
        assert result.reason
    assert repr(node.get_parameter(f.name).value) == repr(before)


@pytest.mark.parametrize(('cls', 'f'), [p for p in ALL if 'ge' in p.values[1].metadata])
def test_the_ends_of_the_range_are_valid(graph, cls, f):
    for value in (f.metadata['ge'], f.metadata['le']):
        assert declared(graph, cls, f.name, value) == value


@pytest.mark.parametrize(
    ('name', 'value', 'advice'),
    [
        ('max_speed_m_s', 1, 'write 1.0'),
        ('workspace_max', [1, 0, 2], 'write [1.0, 0.0, 2.0]'),
    ],
)
def test_whole_numbers_for_decimal_ones_are_refused_with_the_fix(graph, name, value, advice):
    with pytest.raises(ConfigurationError, match=f'{name}: .*; {re.escape(advice)}$'):
        declared(graph, PoseParams, name, value)


@pytest.mark.parametrize('value', ['fast', True, [1.0]])
def test_what_is_no_number_gets_no_such_advice(graph, value):
    with pytest.raises(ConfigurationError, match='max_speed_m_s: ((?!write).)*$'):
        declared(graph, PoseParams, 'max_speed_m_s', value)


def test_every_number_of_the_pose_node_has_a_range():
    numbers = [f for f in fields(PoseParams) if isinstance(f.default, float)]
    assert all('ge' in f.metadata for f in numbers)


@pytest.mark.parametrize(
    ('low', 'high'),
    [
        ([0.2, -0.3, 0.4], [0.6, 0.3, 0.0]),
        ([0.2, -0.3], [0.6, 0.3]),
        ([0.2, -0.3, math.nan], [0.6, 0.3, 0.4]),
        ([0.2, -0.3, 0.0], [0.6, 0.3, math.inf]),
        ([math.nan], [math.nan]),
    ],
)
def test_a_workspace_that_is_no_box_is_refused_with_the_fix(graph, low, high):
    corners = [Parameter('workspace_min', value=low), Parameter('workspace_max', value=high)]
    with pytest.raises(ConfigurationError, match='give both as x, y, z in metres'):
        PoseNode(parameter_overrides=corners)


@pytest.mark.parametrize(
    ('name', 'advice'),
    [('max_sped_m_s', 'did you mean max_speed_m_s'), ('colour', 'valid: action_timeout_s')],
)
def test_a_misspelt_parameter_is_refused_and_the_right_one_named(graph, name, advice):
    with pytest.raises(ConfigurationError, match=f'tried: there is no parameter {name}; {advice}'):
        declared(graph, PoseParams, name, 0.1)


def test_a_parameter_given_to_all_nodes_is_ignored_by_those_without_it(graph):
    overrides = [Parameter('max_bytes', value=99), Parameter('use_sim_time', value=False)]
    node = graph.add(Node('tried', parameter_overrides=overrides))
    assert declare(node, PoseParams).rate_hz == 50.0


def test_the_examples_of_vla_yaml_are_taken(graph):
    text = (paths.share_dir() / 'config' / 'vla.yaml').read_text(encoding='utf-8')
    blocks = text[text.index('# /**/') :]
    for name, section in yaml.safe_load(re.sub('^# ', '', blocks, flags=re.M)).items():
        cls = NODE_PARAMS[name.rpartition('/')[2]]
        for key, value in section['ros__parameters'].items():
            taken = declared(graph, cls, key, value)
            assert (list(taken) if isinstance(taken, tuple) else taken) == value
