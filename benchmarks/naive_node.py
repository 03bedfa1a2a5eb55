"""
A baseline of the pipeline benchmark: one node as in a first tutorial, a model on a timer of 1 Hz.

Pictures go through a list and are squeezed to the usual 224 x 224, and everything waits for
everything else.

usage: naive_node.py [--ros-args ...]
"""

from contextlib import suppress

import cv2
from geometry_msgs.msg import PoseStamped
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image
from served_policy import ServedPolicy
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

DEPTH = 10
PERIOD_S = 1.0


class Naive(Node):
    def __init__(self):
        super().__init__('naive')
        self._policy = ServedPolicy()
        self._image, self._text = None, ''
        self._pose = PoseStamped()
        self._chunk = self.create_publisher(JointTrajectory, 'vla/action_chunk', DEPTH)
        self._action = self.create_publisher(PoseStamped, 'robot_action', DEPTH)
        self.create_subscription(Image, 'camera/image_raw', self._on_image, DEPTH)
        self.create_subscription(String, 'natural_language_command', self._on_text, DEPTH)
        self.create_subscription(PoseStamped, 'robot_pose', self._on_pose, DEPTH)
        self.create_timer(PERIOD_S, self._act)

    def _on_image(self, message):
        self._image = message

    def _on_text(self, message):
        self._text = message.data

    def _on_pose(self, message):
        self._pose = message

    def _act(self):
        if self._image is None or not self._text:
            return
        message, pose = self._image, self._pose.pose
        image = np.array(list(message.data), dtype=np.uint8)
        image = cv2.resize(image.reshape(message.height, message.width, 3), (224, 224))
        p, q = pose.position, pose.orientation
        state = np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w, 0.0])
        seen = {'image': image, 'state': state, 'prompt': self._text}
        rows = self._policy.infer(seen)['actions'].tolist()
        chunk = JointTrajectory(header=message.header)
        chunk.points = [JointTrajectoryPoint(positions=row) for row in rows]
        self._chunk.publish(chunk)
        action = PoseStamped(header=message.header)
        p, q = action.pose.position, action.pose.orientation
        p.x, p.y, p.z, q.x, q.y, q.z, q.w = rows[0][:7]
        self._action.publish(action)


def main():
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Naive())


if __name__ == '__main__':
    main()
