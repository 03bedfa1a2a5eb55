import pytest

pytestmark = pytest.mark.ros

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402

from vla_ros.cli.status import block  # noqa: E402
from vla_ros.nodes.client import UNKNOWN  # noqa: E402
from vla_ros.nodes.diagnostics import ERROR, OK, WARN  # noqa: E402
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


def health(name, prefix='', level=OK, message='', **values):
    pairs = [KeyValue(key=prefix + key, value=value) for key, value in values.items()]
    status = DiagnosticStatus(name=name, level=level, message=message, values=pairs)
    return DiagnosticArray(status=[status])


def test_it_is_complete_once_every_needed_node_of_the_namespace_has_told():
    user = User()
    timing = Timing(user)
    for node in ('pose', 'camera', 'command'):
        user.tell(health(f'/lab/{node}', **MEASURED))
    user.tell(health('/other/inference', **MEASURED))
    assert not timing.is_complete()
    user.tell(health('/lab/inference', **MEASURED))
    assert timing.is_complete()


def all_well():
    """Return a user who has heard from every node but the marker node, and what it keeps."""
    user = User()
    timing = Timing(user)
    for node in ('pose', 'camera', 'command', 'inference'):
        user.tell(health(f'/lab/{node}', **MEASURED))
    return user, timing


def test_nothing_is_wrong_while_all_are_ok():
    _, timing = all_well()
    assert timing.problems() == {}


def test_what_is_wrong_is_told_node_by_node_until_it_is_over():
    user, timing = all_well()
    user.tell(health('/lab/camera', level=ERROR, message='no frame', **MEASURED))
    user.tell(health('/lab/marker', level=WARN, message='no camera/pose', **MEASURED))
    user.tell(health('/other/pose', level=ERROR, message='no pose', **MEASURED))
    assert timing.problems() == {'camera': 'ERROR: no frame', 'marker': 'WARN: no camera/pose'}
    user.tell(health('/lab/camera', **MEASURED))
    assert timing.problems() == {'marker': 'WARN: no camera/pose'}


def test_a_node_that_tells_nothing_is_named():
    user = User()
    timing = Timing(user)
    for node in ('pose', 'camera', 'inference'):
        user.tell(health(f'/lab/{node}', **MEASURED))
    assert list(timing.problems()) == ['command']
    assert 'does it run?' in timing.problems()['command']


def test_a_traceback_is_told_in_one_line_without_control_characters():
    user, timing = all_well()
    message = 'inference failed:\nTraceback\n  File\nRuntimeError: over\x1bflow\n'
    user.tell(health('/lab/inference', level=WARN, message=message, **MEASURED))
    told = 'WARN: inference failed: RuntimeError: over\\x1bflow'
    assert timing.problems() == {'inference': told}
    assert f'inference node {told}\n' in block(UNKNOWN, None, {}, timing.problems())


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
    user.tell(health('driver: state', **MEASURED))
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
    shown = block(UNKNOWN, None, rows({'pose': MEASURED}), {})
    assert 'image to pose  p50 12.3 ms, p95 20.0 ms, p99 31.5 ms\n' in shown


def test_the_status_says_so_when_nothing_was_measured():
    assert 'nothing measured yet' in block(UNKNOWN, None, {}, {})
