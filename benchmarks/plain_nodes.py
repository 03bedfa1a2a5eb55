"""
A baseline of the pipeline benchmark: the same four nodes as most people would write them.

No mistakes are built in: images are read without a copy, the model is a warm TorchScript file on
one thread, and everything is reliable. It is the defaults of ROS 2 otherwise: ``rclpy.spin``, the
middleware's own settings, the model in the callback of its image, and no gate behind it.

usage: plain_nodes.py camera|command|inference|pose [--ros-args ...]
"""

from contextlib import suppress
import sys

import cv2
from geometry_msgs.msg import PoseStamped
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

DEPTH = 10
SIZE_PX = 96
MAX_TOKENS = 32
RATE_HZ = 50.0


class Camera(Node):
    def __init__(self):
        super().__init__('camera')
        self._image = self.create_publisher(Image, 'vla/image', DEPTH)
        self.create_subscription(Image, 'camera/image_raw', self._on_image, DEPTH)

    def _on_image(self, message):
        frame = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        left = (message.width - message.height) // 2
        square = frame[:, left : left + message.height]
        small = cv2.resize(square, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
        self._image.publish(
            Image(
                header=message.header,
                height=SIZE_PX,
                width=SIZE_PX,
                encoding='rgb8',
                step=3 * SIZE_PX,
                data=small.tobytes(),
            )
        )


class Command(Node):
    def __init__(self):
        super().__init__('command')
        from vla_ros.pipeline.text_encoder import load_text_encoder

        self._encoder = load_text_encoder()
        self._features = self.create_publisher(Image, 'vla/command_embedding', DEPTH)
        self.create_subscription(String, 'natural_language_command', self._on_text, DEPTH)

    def _on_text(self, message):
        tokens = self._encoder.encode(message.data)
        height, width = tokens.shape
        self._features.publish(
            Image(
                height=height,
                width=width,
                encoding='32FC1',
                step=4 * width,
                data=tokens.tobytes(),
            )
        )


class Inference(Node):
    def __init__(self):
        super().__init__('inference')
        import torch

        from vla_ros.paths import shipped_policy_path

        torch.set_num_threads(1)
        self._torch = torch
        self._policy = torch.jit.load(str(shipped_policy_path())).eval()
        self._text = self._mask = None
        self._state = torch.zeros(1, 8)
        self._chunk = self.create_publisher(JointTrajectory, 'vla/action_chunk', DEPTH)
        self.create_subscription(Image, 'vla/command_embedding', self._on_command, DEPTH)
        self.create_subscription(PoseStamped, 'robot_pose', self._on_pose, DEPTH)
        self.create_subscription(Float32, 'gripper_state', self._on_gripper, DEPTH)
        self.create_subscription(Image, 'vla/image', self._on_image, DEPTH)

    def _on_command(self, message):
        tokens = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
        self._text = self._torch.zeros(1, MAX_TOKENS, message.width)
        self._text[0, : len(tokens)] = self._torch.from_numpy(tokens.copy())
        self._mask = self._torch.arange(MAX_TOKENS)[None] < len(tokens)

    def _on_pose(self, message):
        p, q = message.pose.position, message.pose.orientation
        self._state[0, :7] = self._torch.tensor([p.x, p.y, p.z, q.x, q.y, q.z, q.w])

    def _on_gripper(self, message):
        self._state[0, 7] = message.data

    def _on_image(self, message):
        if self._text is None:
            return
        frame = np.frombuffer(message.data, np.uint8).reshape(SIZE_PX, SIZE_PX, 3)
        image = self._torch.from_numpy(frame.transpose(2, 0, 1).copy())[None, None]
        with self._torch.no_grad():
            output = self._policy(image, self._text, self._mask, self._state)
        chunk = JointTrajectory(header=message.header)
        for row in output.actions[0].tolist():
            chunk.points.append(JointTrajectoryPoint(positions=row))
        self._chunk.publish(chunk)


class Pose(Node):
    def __init__(self):
        super().__init__('pose')
        self._positions = None
        self._action = self.create_publisher(PoseStamped, 'robot_action', DEPTH)
        self.create_subscription(JointTrajectory, 'vla/action_chunk', self._on_chunk, DEPTH)
        self.create_timer(1.0 / RATE_HZ, self._tick)

    def _on_chunk(self, message):
        self._positions = message.points[0].positions

    def _tick(self):
        if self._positions is None:
            return
        message = PoseStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = 'base_link'
        p, q = message.pose.position, message.pose.orientation
        p.x, p.y, p.z, q.x, q.y, q.z, q.w = self._positions[:7]
        self._action.publish(message)


def main():
    nodes = {'camera': Camera, 'command': Command, 'inference': Inference, 'pose': Pose}
    rclpy.init()
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(nodes[sys.argv[1]]())


if __name__ == '__main__':
    main()
