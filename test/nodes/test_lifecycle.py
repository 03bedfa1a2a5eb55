import random

import pytest
from rclpy.lifecycle import TransitionCallbackReturn

from vla_ros.errors import ConfigurationError
from vla_ros.nodes.lifecycle import ManagedNode

pytestmark = pytest.mark.ros


class Probe(ManagedNode):
    """Records its hooks and raises what it is told to."""

    def __init__(self):
        super().__init__('probe')
        self.calls = []
        self.raises = {}

    def _call(self, name):
        self.calls.append(name)
        if name in self.raises:
            raise self.raises[name]

    def configure(self):
        self._call('configure')

    def activate(self):
        self._call('activate')

    def deactivate(self):
        self._call('deactivate')

    def cleanup(self):
        self._call('cleanup')

    @property
    def state(self):
        return self._state_machine.current_state[1]


@pytest.fixture
def probe(graph):
    return graph.add(Probe())


def test_autostart_configures_and_activates_once_it_spins(graph, probe):
    probe.autostart()
    assert probe.state == 'unconfigured'
    graph.until(lambda: probe.state == 'active')
    assert probe.calls == ['configure', 'activate']


def test_a_users_mistake_keeps_the_state(probe):
    probe.raises['configure'] = ConfigurationError('no such file')
    assert probe.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert probe.state == 'unconfigured'


def test_a_bug_leads_back_to_unconfigured_with_everything_released(probe):
    probe.trigger_configure()
    probe.raises['activate'] = RuntimeError('bug')
    assert probe.trigger_activate() == TransitionCallbackReturn.ERROR
    assert probe.state == 'unconfigured'
    assert probe.calls[-2:] == ['deactivate', 'cleanup']


def test_a_destroyed_node_leaves_the_graph_though_somebody_still_holds_it(graph, probe):
    graph.until(lambda: 'probe' in graph.peer.get_node_names())
    graph.remove(probe)
    graph.until(lambda: 'probe' not in graph.peer.get_node_names())


def test_after_a_mistake_is_mended_the_same_transition_works(probe):
    probe.raises['configure'] = ConfigurationError('no such file')
    probe.trigger_configure()
    del probe.raises['configure']
    assert probe.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert probe.state == 'inactive'


@pytest.mark.parametrize('trigger', ['activate', 'deactivate', 'cleanup'])
def test_a_transition_out_of_order_is_refused(probe, trigger):
    assert getattr(probe, f'trigger_{trigger}')() == TransitionCallbackReturn.FAILURE
    assert probe.state == 'unconfigured'
    assert probe.calls == []


def test_destroying_an_active_node_releases_everything(probe):
    probe.trigger_configure()
    probe.trigger_activate()
    probe.destroy_node()
    assert probe.calls[-2:] == ['deactivate', 'cleanup']


TRIGGERS = ('configure', 'activate', 'deactivate', 'cleanup')


@pytest.mark.parametrize('seed', range(20))
def test_any_order_of_transitions_and_failures_ends_in_a_named_state(probe, seed):
    rng = random.Random(seed)
    for _ in range(20):
        fault = rng.choice([None, None, ConfigurationError('no'), RuntimeError('bug')])
        hook = rng.choice(TRIGGERS)
        probe.raises = {} if fault is None else {hook: fault}
        getattr(probe, f'trigger_{rng.choice(TRIGGERS)}')()
        assert probe.state in ('unconfigured', 'inactive', 'active', 'finalized')
