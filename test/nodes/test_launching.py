"""The launch arguments of the graphs; launch itself is not needed."""

from collections.abc import Iterator
import importlib
import sys
from types import ModuleType
from unittest.mock import MagicMock

import pytest

from vla_ros.bringup import GRAPHS, Options, options_of
from vla_ros.errors import ConfigurationError

LAUNCH = (
    'launch',
    'launch.actions',
    'launch.events',
    'launch.events.process',
    'launch.substitutions',
    'launch_ros',
    'launch_ros.actions',
)


@pytest.fixture
def launching(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name in LAUNCH:
        monkeypatch.setitem(sys.modules, name, MagicMock())
    monkeypatch.delitem(sys.modules, 'vla_ros.nodes.launching', raising=False)
    yield importlib.import_module('vla_ros.nodes.launching')
    del sys.modules['vla_ros.nodes.launching']


@pytest.mark.parametrize('graph', GRAPHS)
def test_a_flag_is_taken_in_any_case_and_a_wrong_one_refused_by_this_package(launching, graph):
    launching.description(graph)
    declared = {
        call.args[0]: call.kwargs for call in launching.DeclareLaunchArgument.call_args_list
    }
    assert set(declared) == set(options_of(graph))
    flags = [name for name in declared if isinstance(getattr(Options, name), bool)]
    assert {str(declared[name]['choices']) for name in flags} == {'None'}
    assert 'warn' in declared['log_level']['choices']
    for text in ('True', 'true', 'TRUE'):
        assert Options.parse({'use_sim_time': text}).use_sim_time is True


@pytest.mark.parametrize(('graph', 'told'), [('sim', 1), ('robot', 0)])
def test_on_humble_a_simulation_that_the_network_sees_is_told(launching, monkeypatch, graph, told):
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    monkeypatch.delenv('ROS_LOCALHOST_ONLY', raising=False)
    monkeypatch.setattr(launching.Options, 'parse', lambda texts: Options())
    started = launching._start(MagicMock(), graph)
    lines = [call.kwargs['msg'] for call in launching.LogInfo.call_args_list]
    assert [line.startswith('on Humble the network sees') for line in lines] == [True] * told
    assert len(started) == told + len(GRAPHS[graph](Options()))


def test_a_remap_of_no_topic_is_refused(launching, monkeypatch):
    chosen = Options(remap='robot_actoin:=/arm/target')
    monkeypatch.setattr(launching.Options, 'parse', lambda texts: chosen)
    with pytest.raises(ConfigurationError, match='did you mean robot_action'):
        launching._start(MagicMock(), 'robot')
