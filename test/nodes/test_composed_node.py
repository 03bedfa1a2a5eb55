"""The pipeline in one process, with a policy that can hang."""

import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger
from tiny_policy import TinyPolicy, write_policy
from torch import Tensor

from vla_ros.errors import EXIT_CONFIGURATION
from vla_ros.geometry import Pose
from vla_ros.models.contract import PolicyOutput
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Status
from vla_ros.nodes.composed_node import main
from vla_ros.nodes.conversions import header, image_to_message, pose_to_message

pytestmark = pytest.mark.ros

ROOT = Path(__file__).parents[2]
#: The real text encoder takes seconds to load and is not what is tested here.
PROGRAM = """
import sys
import numpy as np
from vla_ros.nodes.command_node import CommandNode
from vla_ros.nodes.composed_node import main

class Encoder:
    def encode(self, text): return np.zeros((1, 5), np.float32)
    def pieces(self, text): return ('word',)

CommandNode._load_encoder = lambda self: Encoder()
sys.exit(main())
"""
WORKSPACE = {'workspace_min': [0.2, -0.3, 0.0], 'workspace_max': [0.6, 0.3, 0.4]}


class HangsInTheDark(TinyPolicy):
    def forward(self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor):
        b, n = text_mask.shape
        turns = 0
        while bool((image < 128).all()) and bool((text_mask.sum() == 1).all()):
            turns += 1
        return PolicyOutput(
            actions=state[:, None, :].expand(b, 3, 8),
            termination=image.new_zeros([b, 3], dtype=text.dtype),
            task_logits=text.new_zeros([b, 2]),
            attention=text.new_zeros([b, n, 2, 3]),
        )


class Stage:
    """A robot that stands still and a camera, around the process."""

    def __init__(self, graph, folder):
        policy = str(write_policy(folder / 'tiny.pt', HangsInTheDark()))
        parameters = {
            'camera': {'image_width': 12, 'image_height': 8},
            'command': {'policy_path': policy},
            'inference': {'policy_path': policy, 'inference_timeout_s': 4.0},
            'pose': WORKSPACE,
        }
        self.graph = graph
        self.is_dark = False
        self.actions, self.statuses = (
            graph.listen(wiring.ROBOT_ACTION),
            graph.listen(wiring.STATUS),
        )
        self.image, self.pose, self.gripper = (
            topic.publisher(graph.peer)
            for topic in (wiring.IMAGE_RAW, wiring.ROBOT_POSE, wiring.GRIPPER_STATE)
        )
        graph.peer.create_timer(0.05, self.feed, clock=Clock(clock_type=ClockType.STEADY_TIME))
        path = f'{ROOT}:{os.environ.get("PYTHONPATH", "")}'
        self.process = subprocess.Popen(
            [sys.executable, '-c', PROGRAM, '--parameters', json.dumps(parameters)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, 'PYTHONPATH': path},
        )

    def feed(self):
        now_ns = self.graph.peer.get_clock().now().nanoseconds
        pixels = np.full((8, 12, 3), 0 if self.is_dark else 255, np.uint8)
        self.image.publish(image_to_message(pixels, header(now_ns, 'eye')))
        pose = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))
        self.pose.publish(pose_to_message(pose, now_ns, 'base_link'))
        self.gripper.publish(Float32(data=0.0))

    @property
    def status(self):
        return Status.from_message(self.statuses[-1]) if self.statuses else None

    def wait_for(self, state):
        self.graph.until(lambda: self.status and self.status.state == state, timeout_s=60.0)

    def run(self):
        """Give a command, once the command node hears it as the pose node does."""
        self.wait_for('idle')
        commands = self.graph.publisher(wiring.COMMAND)
        self.graph.until(lambda: commands.get_subscription_count() == 2, timeout_s=60.0)
        commands.publish(String(data='go'))
        self.wait_for('running')


def test_a_policy_that_hangs_leads_to_a_hold_while_the_poses_go_on(graph, tmp_path):
    stage = Stage(graph, tmp_path)
    try:
        stage.run()
        stage.is_dark = True
        stage.wait_for('holding')
        stage.actions.clear()
        graph.until(lambda: len(stage.actions) >= 25)
        # It has hung for long enough to be started anew, which is for others to do.
        graph.until(lambda: stage.process.poll() is not None)
        assert stage.process.returncode != 0
        output = stage.process.stdout.read()
        assert 'the policy has not returned for' in output
    finally:
        stage.process.kill()
        stage.process.wait()


def test_after_the_end_of_a_task_nothing_is_inferred(graph, tmp_path):
    chunks = graph.listen(wiring.ACTION_CHUNK)
    stage = Stage(graph, tmp_path)
    try:
        stage.run()
        graph.until(lambda: len(chunks) > 3)
        assert graph.call(Trigger, 'pose/cancel', Trigger.Request()).success
        stage.wait_for('holding')
        poses = len(stage.actions)
        graph.until(lambda: len(stage.actions) > poses + 25)  # by then none is on its way
        count, poses = len(chunks), len(stage.actions)
        graph.until(lambda: len(stage.actions) > poses + 25)
        assert len(chunks) == count
    finally:
        stage.process.kill()
        stage.process.wait()


def test_with_security_it_refuses_to_start_and_says_the_fix(monkeypatch, capfd):
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    assert main([]) == EXIT_CONFIGURATION
    assert 'start it without --composed' in capfd.readouterr().err
