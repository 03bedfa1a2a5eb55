import pytest

pytestmark = pytest.mark.ros

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402

from vla_ros.cli.status import block  # noqa: E402
from vla_ros.nodes.client import UNKNOWN  # noqa: E402
from vla_ros.nodes.timing import rows, Timing  # noqa: E402

MEASURED = {'latency_p50_ms': '12.34', 'latency_p95_ms': '20', 'latency_p99_ms': '31.5'}


class User:
    def __init__(self, namespace='/lab'):
        self.namespace = namespace
        self._listeners = {}

    def watch(self, topic, on_message):
        self._listeners[topic.name] = on_message

    def tell(self, message):
        self._listeners['/diagnostics'](message)


def health(name, prefix='', **values):
    pairs = [KeyValue(key=prefix + key, value=value) for key, value in values.items()]
    return DiagnosticArray(status=[DiagnosticStatus(name=name, values=pairs)])


def test_it_is_complete_once_both_nodes_of_the_namespace_have_told():
    user = User()
    timing = Timing(user)
    user.tell(health('/lab/pose', **MEASURED))
    user.tell(health('/other/inference', **MEASURED))
    assert not timing.is_complete()
    user.tell(health('/lab/inference', **MEASURED))
    assert timing.is_complete()


@pytest.mark.parametrize(
    ('namespace', 'node', 'robot'),
    [
        ('/left', '/inference', 'left.'),
        ('/lab/left', '/lab/inference', 'left.'),
        ('/lab/left', '/inference', 'lab/left.'),
    ],
)
def test_a_node_that_serves_several_robots_is_heard_for_this_one(namespace, node, robot):
    user = User(namespace)
    timing = Timing(user)
    user.tell(health(node, 'other.', **MEASURED))
    assert timing.values == {}
    user.tell(health(node, robot, **MEASURED))
    assert rows(timing.values) == {'image to chunk': 'p50 12.3 ms, p95 20.0 ms, p99 31.5 ms'}


@pytest.mark.parametrize('name', ['/labour/pose', '/lab/left/pose', '/pose', 'lab/pose', 'a: b'])
def test_what_others_tell_on_the_same_topic_is_left_out(name):
    user = User()
    timing = Timing(user)
    user.tell(health(name, **MEASURED))
    assert timing.values == {}


def test_without_a_namespace_the_nodes_of_the_root_are_heard():
    user = User('/')
    timing = Timing(user)
    user.tell(health('/pose', **MEASURED))
    user.tell(health('/left/pose', **MEASURED))
    assert timing.values == {'pose': MEASURED}


def test_a_stage_is_told_in_percentiles():
    found = rows({'inference': MEASURED})
    assert found == {'image to chunk': 'p50 12.3 ms, p95 20.0 ms, p99 31.5 ms'}


def test_what_was_never_measured_is_left_out():
    assert rows({'pose': dict.fromkeys(MEASURED, 'nan')}) == {}


def test_missed_deadlines_and_dropped_frames_are_counted():
    period = {key.replace('latency', 'period'): value for key, value in MEASURED.items()}
    found = rows(
        {
            'pose': {**period, 'late_ticks': '3'},
            'inference': {'frames_hz': '9.98', 'dropped_frames': '7'},
        }
    )
    assert found['tick'].endswith('p99 31.5 ms, 3 late')
    assert found['frames'] == '10.0 Hz, 7 dropped'


def test_the_status_shows_every_stage():
    shown = block(UNKNOWN, None, rows({'pose': MEASURED}))
    assert 'image to pose  p50 12.3 ms, p95 20.0 ms, p99 31.5 ms\n' in shown


def test_the_status_says_so_when_nothing_was_measured():
    assert 'nothing measured yet' in block(UNKNOWN, None, {})
