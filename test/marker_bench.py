"""What the marker node hears and draws, over real topics."""

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import Marker

from vla_ros.geometry import Pose
from vla_ros.interfaces import (
    ActionChunk,
    CameraModel,
    EncodedCommand,
    GRIPPER_CHANNEL,
    POSE_CHANNELS,
)
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    attention_to_message,
    camera_to_message,
    chunk_to_message,
    command_to_message,
    header,
    pose_to_message,
)
from vla_ros.nodes.marker_node import MarkerNode

STAMP_NS = 5_000_000_007
DOWN = (1.0, 0.0, 0.0, 0.0)
#: One metre above (0.4, 0, 0), looking straight down.
CAMERA = CameraModel(96, 96, 96.0, 96.0, 47.5, 47.5, Pose.of((0.4, 0.0, 1.0), DOWN))
TARGET = Pose.of((0.4, 0.1, 0.2), DOWN)
COMMAND_NS = 1
#: The first token stands for no word, the second for 'red'.
PIECES = ('[CLS]', 'red')


def attention(row: int = 6, column: int = 18) -> Image:
    planes = np.zeros((2, 24, 24), np.float32)
    planes[1, row, column] = 1.0
    return attention_to_message(planes, header(STAMP_NS, 'camera_optical_frame'))


def chunk(**changes: Any) -> JointTrajectory:
    values = np.tile([0.4, 0.0, 0.2, *DOWN, 0.0], (4, 1))
    values[:, 0] += 0.1 * np.arange(4)
    values[2:, 7] = 1.0
    made = {
        'stamp_ns': STAMP_NS,
        'command_stamp_ns': COMMAND_NS,
        'frame_id': 'base_link',
        'channels': (*POSE_CHANNELS, GRIPPER_CHANNEL),
        'values': values,
        'dt_s': 0.1,
    }
    return chunk_to_message(ActionChunk(**{**made, **changes}))


def status(state: str, reason: str, **more: str) -> DiagnosticStatus:
    values = {'state': state, 'reason': reason, **more}
    return DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in values.items()])


class Bench:
    def __init__(self, graph, **parameters: Any) -> None:
        self.graph = graph
        values = {'rate_hz': 50.0, 'plane_height_m': 0.0, **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.node = graph.add(MarkerNode(parameter_overrides=overrides))
        self.arrays = graph.listen(wiring.MARKERS)
        self.pictures = graph.listen(wiring.ATTENTION_IMAGE)
        self.health = graph.listen(wiring.DIAGNOSTICS)

    def scene(self) -> None:
        """Publish everything that attention needs to find its place."""
        publish = self.graph.publish
        publish(wiring.CAMERA_POSE, pose_to_message(CAMERA.base_from_camera, 0, 'base_link'))
        publish(wiring.MODEL_CAMERA_INFO, camera_to_message(CAMERA, STAMP_NS, 'camera'))
        self.command()
        node = self.node
        self.graph.until(lambda: node._base_from_camera is not None and node._camera_info)

    def command(
        self,
        text: str = 'the crimson one',
        tokens: int = 2,
        stamp_ns: int = COMMAND_NS,
        pieces: tuple[str, ...] = PIECES,
    ) -> None:
        command = EncodedCommand(text, stamp_ns, np.ones((tokens, 4), np.float32), pieces)
        self.graph.publish(wiring.COMMAND_EMBEDDING, command_to_message(command))
        self.graph.until(lambda: self.node._command and self.node._command.stamp_ns == stamp_ns)

    def look(self, message: Image | None = None, stamp_ns: int = STAMP_NS, **of: Any) -> None:
        """Publish attention and the chunk of the same frame, as the inference node does."""
        self.graph.publish(wiring.ACTION_CHUNK, chunk(stamp_ns=stamp_ns, **of))
        self.graph.publish(wiring.ATTENTION, attention() if message is None else message)

    def marker(self, namespace: str) -> Marker:
        """Wait for the newest marker of a namespace."""

        def find() -> list[Marker]:
            return [m for a in self.arrays for m in a.markers if m.ns == namespace]

        self.graph.until(find)
        return find()[-1]


def place(marker: Marker) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])
