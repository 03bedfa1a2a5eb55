"""
The least that a node can do, for the pipeline benchmark: all of it in one callback.

The middleware, executor and memory are set as for this package's nodes; a picture is resized,
shown to the policy and answered at once. There is no gate and nothing is checked: what it adds is
the way of a picture to the node and of its chunk back, which no node in Python is spared.

usage: one_node.py [--ros-args ...]
"""

import sys

import numpy as np
from rclpy.node import Node

from vla_ros.bench.table import COMMAND
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import chunk_to_message, pose_from_message, to_ns
from vla_ros.nodes.runner import run
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder


class OneNode(Node):
    def __init__(self):
        super().__init__('one_node')
        self._policy = load_policy(shipped_policy_path())
        self._size = self._policy.manifest.image_width, self._policy.manifest.image_height
        self._command = EncodedCommand(COMMAND, 1, load_text_encoder().encode(COMMAND))
        self._state = np.zeros(8, np.float32)
        self._state[6] = 1.0
        self._chunk = wiring.ACTION_CHUNK.publisher(self)
        wiring.ROBOT_POSE.subscription(self, self._on_pose)
        wiring.IMAGE_RAW.subscription(self, self._on_image)

    def _on_pose(self, message):
        self._state[:7] = pose_from_message(message).vector()

    def _on_image(self, message):
        picture = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        image = fit(picture, *self._size)[None]
        seen = Observation(to_ns(message.header.stamp), image, self._state, self._command)
        self._chunk.publish(chunk_to_message(self._policy.infer(seen).chunk))


if __name__ == '__main__':
    sys.exit(run(OneNode))
