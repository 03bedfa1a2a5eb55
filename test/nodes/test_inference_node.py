import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from inference_bench import command, image, inference_node, Robot, status
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from tiny_policy import write_policy

from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_from_message,
    chunk_from_message,
    header,
)

pytestmark = pytest.mark.ros


@pytest.fixture
def path(tmp_path):
    return write_policy(tmp_path / 'tiny.pt')


@pytest.fixture
def robot(graph):
    return Robot(graph)


def test_chunk_and_attention_carry_the_stamp_of_the_image(graph, robot, path):
    inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: robot.chunks and robot.attention)
    chunk = chunk_from_message(robot.chunks[0])
    assert (chunk.stamp_ns, chunk.command_stamp_ns, chunk.frame_id) == (7, 9, 'base_link')
    assert robot.attention[0].header == header(7, 'eye')
    assert attention_from_message(robot.attention[0], planes=2).shape == (2, 2, 3)


def test_what_ends_with_activity_has_no_events_of_the_middleware(graph, path):
    """The events executor would crash at its end, see ``wiring``."""
    node = inference_node(graph, path, autostart=False)
    before = len(list(node.waitables))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert node.count_publishers(wiring.ACTION_CHUNK.name) == 1
    assert len(list(node.waitables)) == before


def test_saliency_is_computed_only_while_somebody_looks(graph, robot, path, monkeypatch):
    computed = []

    def saliency(policy, observation):
        computed.append(observation.stamp_ns)
        return np.ones((2, 2, 3), np.float32)

    monkeypatch.setattr('vla_ros.pipeline.saliency.gradient_saliency', saliency)
    inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: len(robot.chunks) >= 2)
    assert not computed
    seen = graph.listen(wiring.SALIENCY)
    robot.publish_until(lambda: seen)
    assert seen[0].header == header(7, 'eye')
    assert attention_from_message(seen[0], planes=2).shape == (2, 2, 3)


def test_the_policy_sees_the_image_the_command_and_the_measured_state(graph, robot, path):
    inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: robot.chunks)
    chunk = chunk_from_message(robot.chunks[0])
    np.testing.assert_allclose(chunk.column('position.z'), [0.3, 1.3, 2.3], atol=1e-6)
    np.testing.assert_allclose(chunk.column('gripper'), 0.2, atol=1e-6)


@pytest.mark.parametrize('tokens', [None, 0])
def test_without_a_command_nothing_is_inferred(graph, robot, path, tokens):
    node = inference_node(graph, path)
    if tokens is not None:
        graph.publish(wiring.COMMAND_EMBEDDING, command(tokens=tokens))
    robot.publish_until(lambda: node._ports[0].frames.count >= 3)
    assert not robot.chunks


@pytest.mark.parametrize(
    ('what', 'report'),
    [
        ({'pose': False}, 'no fresh /robot_pose'),
        ({'gripper': False}, 'no fresh /gripper_state'),
        ({'frame': image(stamp_ns=7 + 10**9)}, 'stamped 1.00 s before the image'),
        ({'frame': image(pixels=np.zeros((9, 9, 3), np.uint8))}, 'set image_width'),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(graph, robot, path, what, report):
    inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: report in robot.report(), **what)
    assert not robot.chunks


def test_after_the_end_of_a_task_nothing_is_inferred_until_the_next_command(graph, robot, path):
    node = inference_node(graph, path)
    port = node._ports[0]
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: robot.chunks)
    graph.publish(wiring.STATUS, status('robot_does_not_follow'))
    graph.until(lambda: port._ended)
    arrived_s = time.monotonic() + 0.5  # by then none is on its way
    graph.until(lambda: time.monotonic() > arrived_s)
    chunks, frames = len(robot.chunks), port.frames.count
    robot.publish_until(lambda: port.frames.count > frames + 5)
    assert len(robot.chunks) == chunks
    graph.publish(wiring.COMMAND_EMBEDDING, command(stamp_ns=10))
    robot.publish_until(lambda: len(robot.chunks) > chunks)


@pytest.mark.parametrize(
    'told',
    [
        status('image_old'),
        status('task_done', stamp_ns=8),
        status('task_done', stamp_ns='nine'),
        DiagnosticStatus(values=[KeyValue(key='reason', value='stopped')]),
        DiagnosticStatus(),
    ],
)
def test_no_other_status_ends_the_inference(graph, robot, path, told):
    inference_node(graph, path)
    heard = graph.listen(wiring.STATUS)
    graph.publish(wiring.STATUS, told)
    graph.until(lambda: heard)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: len(robot.chunks) > 2)


def test_tokens_of_another_text_encoder_are_named(graph, robot, path):
    inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command(width=6))
    robot.publish_until(lambda: 'encode commands with words' in robot.report())


def test_a_result_for_a_replaced_command_is_dropped(graph, robot, path):
    node = inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command(stamp_ns=1))
    robot.publish_until(lambda: robot.chunks)
    policy, started, release = node._policy, threading.Event(), threading.Event()

    class SlowPolicy:
        device = policy.device

        def reset(self):
            policy.reset()

        def infer(self, observation):
            started.set()
            release.wait(20)
            return policy.infer(observation)

    node._policy = SlowPolicy()
    robot.publish_until(started.is_set)
    arrived_s = time.monotonic() + 0.5  # by then none is on its way; some may have been lost
    graph.until(lambda: time.monotonic() > arrived_s)
    count = len(robot.chunks)
    graph.publish(wiring.COMMAND_EMBEDDING, command(stamp_ns=2))
    graph.until(lambda: node._ports[0].command.stamp_ns == 2)
    release.set()
    robot.publish_until(lambda: len(robot.chunks) > count)
    assert chunk_from_message(robot.chunks[count]).command_stamp_ns == 2


def test_an_error_of_the_policy_is_reported_and_the_next_frame_works(graph, robot, path):
    node = inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: robot.chunks)
    policy, errors = node._policy, iter([RuntimeError('overflow')])

    class FailingOnce:
        device, reset = policy.device, policy.reset

        def infer(self, observation):
            for error in errors:
                raise error
            return policy.infer(observation)

    count = len(robot.chunks)
    node._policy = FailingOnce()
    robot.publish_until(lambda: len(robot.chunks) > count)
    assert node._ports[0].errors == 1


def test_a_policy_that_never_returns_ends_the_node(graph, robot, path, monkeypatch):
    node = inference_node(graph, path, inference_timeout_s=0.5)
    graph.until(lambda: state(graph) == 'active')
    returns = threading.Event()
    monkeypatch.setattr(node._policy, 'infer', lambda _: returns.wait())
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    with pytest.raises(TimeoutError, match='the policy has not returned for'):
        robot.publish_until(lambda: False)
    returns.set()


def test_health_tells_the_policy_and_its_latency(graph, robot, path):
    node = inference_node(graph, path)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    now_ns = node.get_clock().now().nanoseconds

    def reported():
        values = {v.key: v.value for v in robot.health[-1].status[0].values}
        return values if values['latency_p50_ms'] != 'nan' else None

    robot.publish_until(lambda: robot.health and reported(), frame=image(now_ns), pose_ns=now_ns)
    values = reported()
    assert values['policy'] == 'tiny'
    assert values['policy_sha256'] == node._manifest.sha256
    assert 0.0 < float(values['inference_p50_ms']) <= float(values['latency_p99_ms'])


def state(graph):
    return graph.call(GetState, '/inference/get_state', GetState.Request()).current_state.label


def change(graph, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return graph.call(ChangeState, '/inference/change_state', request).success


def test_a_bad_path_leaves_it_unconfigured_and_a_good_one_configures_it(graph, path, tmp_path):
    inference_node(graph, tmp_path / 'nothing.pt')
    graph.until(lambda: state(graph) == 'unconfigured')
    assert not change(graph, Transition.TRANSITION_CONFIGURE)
    parameter = Parameter('policy_path', value=str(path)).to_parameter_msg()
    request = SetParameters.Request(parameters=[parameter])
    assert graph.call(SetParameters, '/inference/set_parameters', request).results[0].successful
    assert change(graph, Transition.TRANSITION_CONFIGURE)
    assert change(graph, Transition.TRANSITION_ACTIVATE)
    assert state(graph) == 'active'


def test_a_transition_that_makes_no_sense_is_refused_and_harmless(graph, path):
    inference_node(graph, path)
    graph.until(lambda: state(graph) == 'active')
    assert not change(graph, Transition.TRANSITION_CONFIGURE)
    assert state(graph) == 'active'


def test_without_autostart_it_waits_for_a_manager(graph, path):
    inference_node(graph, path, autostart=False)
    assert state(graph) == 'unconfigured'
    assert change(graph, Transition.TRANSITION_CONFIGURE)
    assert state(graph) == 'inactive'


def test_deactivating_ends_the_worker_and_activating_starts_anew(graph, robot, path):
    inference_node(graph, path)
    graph.until(lambda: state(graph) == 'active')
    assert change(graph, Transition.TRANSITION_DEACTIVATE)
    assert 'inference' not in [thread.name for thread in threading.enumerate()]
    assert change(graph, Transition.TRANSITION_CLEANUP)
    assert change(graph, Transition.TRANSITION_CONFIGURE)
    assert change(graph, Transition.TRANSITION_ACTIVATE)
    graph.publish(wiring.COMMAND_EMBEDDING, command())
    robot.publish_until(lambda: robot.chunks)


def test_a_shut_down_node_has_no_worker(graph, path):
    inference_node(graph, path)
    graph.until(lambda: state(graph) == 'active')
    assert change(graph, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state(graph) == 'finalized'
    assert 'inference' not in [thread.name for thread in threading.enumerate()]
