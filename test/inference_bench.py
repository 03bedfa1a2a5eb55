"""A robot and its camera around the inference node, over real topics."""

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from rclpy.parameter import Parameter
from std_msgs.msg import Float32

from vla_ros.geometry import Pose
from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    command_to_message,
    header,
    image_to_message,
    pose_to_message,
)
from vla_ros.nodes.inference_node import InferenceNode

IMAGE = np.full((8, 12, 3), 51, np.uint8)


def inference_node(graph, path, **parameters):
    parameters = {'policy_path': str(path), **parameters}
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return graph.add(InferenceNode(parameter_overrides=overrides))


def command(stamp_ns=9, tokens=2, width=5):
    return command_to_message(
        EncodedCommand('up', stamp_ns, np.full((tokens, width), 0.1, np.float32))
    )


def image(stamp_ns=7, pixels=IMAGE):
    return image_to_message(pixels, header(stamp_ns, 'eye'))


def status(reason, stamp_ns=9):
    told = {'reason': reason, 'command_stamp_ns': str(stamp_ns)}
    return DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in told.items()])


class Robot:
    """Publishes what the node needs, and collects what it makes of that."""

    def __init__(self, graph):
        self.graph = graph
        self.chunks = graph.listen(wiring.ACTION_CHUNK)
        self.attention = graph.listen(wiring.ATTENTION)
        self.health = graph.listen(wiring.DIAGNOSTICS)

    def publish(self, pose=True, gripper=True, frame=None, pose_ns=7):
        pose_now = Pose.of((0.1, 0.2, 0.3), (1, 0, 0, 0))
        message = pose_to_message(pose_now, pose_ns, 'base_link')
        if pose:
            self.graph.publish(wiring.ROBOT_POSE, message)
        if gripper:
            self.graph.publish(wiring.GRIPPER_STATE, Float32(data=0.5))
        self.graph.publish(wiring.IMAGE, frame or image())

    def publish_until(self, condition, **what):
        def publish_and_check():
            self.publish(**what)
            return condition()

        self.graph.until(publish_and_check)

    def report(self):
        return self.health[-1].status[0].message if self.health else ''
