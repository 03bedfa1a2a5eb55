from contextlib import suppress
import json

from geometry_msgs.msg import PoseStamped
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy._rclpy_pybind11 import RCLError
from rclpy.parameter import Parameter
from std_msgs.msg import Float32
from std_srvs.srv import Trigger

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.interfaces import BASE_FRAME
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    camera_from_message,
    pose_from_message,
    pose_to_message,
    to_ns,
)
from vla_ros.nodes.sim_node import SimNode
from vla_ros.pipeline.image import decode_rgb, RawImage
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import COLOURS, sample_scene
from vla_ros.sim.scene_json import scene_to_json

pytestmark = pytest.mark.ros


def sim_node(graph, **parameters):
    parameters = {'image_width': 64, 'image_height': 64, 'seed': 3, **parameters}
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return graph.add(SimNode(parameter_overrides=overrides))


def state(message):
    return json.loads(message.data)


def test_the_robot_goes_where_the_action_says(graph):
    sim_node(graph)
    poses = graph.listen(wiring.ROBOT_POSE)
    graph.until(lambda: poses)
    target = pose_from_message(poses[-1]).position + (0.03, -0.02, -0.02)
    action = pose_to_message(Pose.of(target, (1.0, 0.0, 0.0, 0.0)), 0, BASE_FRAME)
    graph.publish(wiring.ROBOT_ACTION, action)

    def is_there():
        return np.linalg.norm(pose_from_message(poses[-1]).position - target) < 0.004

    graph.until(is_there)


def test_the_gripper_closes_and_opens_as_told(graph):
    sim_node(graph)
    closings = graph.listen(wiring.GRIPPER_STATE)
    for closing in (1.0, 0.0):
        graph.publish(wiring.GRIPPER_ACTION, Float32(data=closing))
        graph.until(lambda closing=closing: closings and abs(closings[-1].data - closing) < 0.05)


@pytest.mark.parametrize(
    'action',
    [
        pose_to_message(Pose.of((np.nan, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0)), 0, BASE_FRAME),
        pose_to_message(Pose.of((0.4, 0.0, 0.1), (0.0, 0.0, 0.0, 0.0)), 0, BASE_FRAME),
        pose_to_message(Pose.of((0.4, 0.0, 0.1), (1.0, 0.0, 0.0, 0.0)), 0, 'elsewhere'),
        PoseStamped(),
    ],
)
def test_an_action_that_makes_no_sense_does_not_move_the_robot(graph, action):
    sim_node(graph)
    poses = graph.listen(wiring.ROBOT_POSE)
    graph.publish(wiring.ROBOT_ACTION, action)
    graph.until(lambda: len(poses) > 20)
    start, end = pose_from_message(poses[0]), pose_from_message(poses[-1])
    np.testing.assert_allclose(start.position, end.position, atol=2e-3)


@pytest.mark.parametrize('topic', [wiring.ROBOT_ACTION, wiring.GRIPPER_ACTION])
def test_rubbish_on_its_topics_neither_moves_nor_ends_it(graph, topic):
    rng = np.random.default_rng(0)
    sim_node(graph)
    poses = graph.listen(wiring.ROBOT_POSE)
    rubbish = graph.publisher(topic)
    for _ in range(300):
        with suppress(RCLError):  # longer than a number can be
            rubbish.publish(rng.bytes(int(rng.integers(0, 400))))
        graph._executor.spin_once(timeout_sec=0.0)
    count = len(poses)
    graph.until(lambda: len(poses) > count + 20)
    places = [pose_from_message(pose).position for pose in poses]
    np.testing.assert_allclose(places, np.broadcast_to(places[0], (len(places), 3)), atol=2e-3)


def test_the_first_target_must_be_near_the_gripper(graph):
    node = sim_node(graph)
    poses = graph.listen(wiring.ROBOT_POSE)
    graph.until(lambda: poses)
    start = node._env.end_effector
    far = Pose.of(start.position + (0.0, 0.15, 0.0), start.quaternion)
    near = Pose.of(start.position + (0.0, 0.02, 0.0), start.quaternion)
    graph.publish(wiring.ROBOT_ACTION, pose_to_message(far, 0, BASE_FRAME))
    count = len(poses)
    graph.until(lambda: len(poses) > count + 20)
    np.testing.assert_allclose(pose_from_message(poses[-1]).position, start.position, atol=2e-3)
    graph.publish(wiring.ROBOT_ACTION, pose_to_message(near, 0, BASE_FRAME))
    graph.until(
        lambda: np.linalg.norm(pose_from_message(poses[-1]).position - near.position) < 0.004
    )


def test_objects_are_seen_where_they_are(graph):
    node = sim_node(graph, image_width=128, image_height=128)
    images, infos = graph.listen(wiring.IMAGE_RAW), graph.listen(wiring.CAMERA_INFO)
    camera_poses, states = graph.listen(wiring.CAMERA_POSE), graph.listen(wiring.SIM_STATE)
    graph.until(lambda: images and infos and camera_poses and states)
    camera = camera_from_message(infos[-1], pose_from_message(camera_poses[-1]))
    image = decode_rgb(RawImage.of(images[-1]), 1_000_000)
    # The environment itself proves every object; here the messages must tell the same.
    env = TabletopEnv(128, seed=3)
    u, v = camera.project(env.object_position(env.scene.objects[0].name))[0]
    np.testing.assert_allclose(image[round(v), round(u)], env.render()[round(v), round(u)], atol=2)
    assert images[-1].header.frame_id == wiring.CAMERA_FRAME
    assert set(states[-1].data and state(states[-1])['objects']) == {
        spec.name for spec in node._env.scene.objects
    }


def test_a_frame_is_stamped_with_a_time_at_which_a_pose_was_published(graph):
    sim_node(graph)
    images, poses = graph.listen(wiring.IMAGE_RAW), graph.listen(wiring.ROBOT_POSE)

    def stamps(messages):
        return {to_ns(message.header.stamp) for message in messages}

    # Either stream may lose a message to a busy machine, but never all that belong together.
    graph.until(lambda: len(stamps(images) & stamps(poses)) > 2)


def test_poses_keep_coming_at_fifty_hertz_while_the_camera_renders(graph):
    sim_node(graph)
    poses, images = graph.listen(wiring.ROBOT_POSE), graph.listen(wiring.IMAGE_RAW)
    graph.until(lambda: len(images) >= 10)
    stamps = np.array([to_ns(pose.header.stamp) for pose in poses]) * 1e-9
    rate_hz = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    assert 40.0 < rate_hz < 60.0
    assert 0.1 < len(images) / len(poses) < 0.25


def test_reset_shows_the_scene_of_the_next_seed(graph):
    sim_node(graph)
    states = graph.listen(wiring.SIM_STATE)
    response = graph.call(Trigger, '/sim/reset', Trigger.Request())
    assert (response.success, response.message) == (True, 'seed 4')
    graph.until(lambda: states and state(states[-1])['seed'] == 4)
    scene = TabletopEnv(32, seed=4).scene
    assert set(state(states[-1])['objects']) == {spec.name for spec in scene.objects}


def set_scene(graph, text):
    value = Parameter('scene', value=text).to_parameter_msg()
    request = SetParameters.Request(parameters=[value])
    return graph.call(SetParameters, '/sim/set_parameters', request).results[0]


def test_reset_shows_the_scene_that_was_set(graph):
    node = sim_node(graph)
    states = graph.listen(wiring.SIM_STATE)
    scene = sample_scene(np.random.default_rng(7))
    assert set_scene(graph, scene_to_json(scene)).successful
    graph.call(Trigger, '/sim/reset', Trigger.Request())
    assert node._env.scene == scene
    graph.until(lambda: states and state(states[-1])['seed'] == 4)
    assert set(state(states[-1])['objects']) == {spec.name for spec in scene.objects}


def test_a_scene_that_cannot_be_built_is_refused(graph):
    sim_node(graph)
    result = set_scene(graph, '{"objects": []}')
    assert not result.successful
    assert result.reason.startswith('scene: zones is missing')
    with pytest.raises(ConfigurationError, match='scene:'):
        sim_node(graph, scene='no JSON')


def test_the_state_names_every_task_that_can_be_asked(graph):
    sim_node(graph)
    states = graph.listen(wiring.SIM_STATE)
    graph.until(lambda: states)
    truth = state(states[-1])
    name = next(iter(truth['objects']))
    assert truth['success'][f'pick|{name}|'] is False
    assert len(truth['end_effector']) == 7
    assert set(truth['zones']) <= set(COLOURS)


def test_simulated_time_runs_on_clock_at_the_chosen_speed_and_stamps_everything(graph):
    sim_node(graph, publish_clock=True, real_time_factor=2.0)
    clocks, poses = graph.listen(wiring.CLOCK), graph.listen(wiring.ROBOT_POSE)
    start_ns = graph.peer.get_clock().now().nanoseconds
    graph.until(lambda: clocks and to_ns(clocks[-1].clock) > 5_000_000_000)
    wall_s = (graph.peer.get_clock().now().nanoseconds - start_ns) * 1e-9
    assert wall_s < 4.5
    assert abs(to_ns(poses[-1].header.stamp) - to_ns(clocks[-1].clock)) < 1_000_000_000


def test_simulated_time_does_not_jump_back_at_a_reset(graph):
    sim_node(graph, publish_clock=True)
    clocks = graph.listen(wiring.CLOCK)
    graph.until(lambda: len(clocks) > 10)
    graph.call(Trigger, '/sim/reset', Trigger.Request())
    count = len(clocks)
    graph.until(lambda: len(clocks) > count + 10)
    times_ns = [to_ns(message.clock) for message in clocks]
    assert times_ns == sorted(times_ns)


def test_another_speed_without_clock_is_refused(graph):
    with pytest.raises(ConfigurationError, match='publish_clock'):
        sim_node(graph, real_time_factor=2.0)


def test_a_renderer_that_is_not_set_up_ends_the_node_as_a_users_mistake(graph):
    sim_node(graph, renderer='egl')

    def never():
        return False

    with pytest.raises(ConfigurationError, match='MUJOCO_GL'):
        graph.until(never)
