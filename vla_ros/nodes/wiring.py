"""
Every topic and service of the graph: name, type, QoS and meaning, each written once.

Names are relative, so a namespace or a remap moves them, but for the two topics that ROS has once
for all robots. ``docs/nodes.md`` is generated from this
file. QoS follows REP 2003: sources publish reliably, consumers of sensors accept best effort.

What ends while its node spins has no callbacks for events of the middleware, such as the warning
of another QoS: the events executor would touch them when they are gone, and crash (rclpy 1644).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node, PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.service import Service
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Bool, Float32, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from vla_ros.errors import ConfigurationError
from vla_ros.nodes import in_process
from vla_ros.nodes.in_process import Inbox


def _qos(reliable: bool, depth: int, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


#: A sensor's consumer: best effort matches every driver, one slot keeps only the newest.
SENSOR = _qos(reliable=False, depth=1)
#: A stream of which only the newest value counts.
LATEST = _qos(reliable=True, depth=1)
#: Events of which none may be lost.
EVENTS = _qos(reliable=True, depth=10)
#: The last value, also for those who join later.
LATCHED = _qos(reliable=True, depth=1, latched=True)


@dataclass(frozen=True)
class Topic:
    """One topic; ``publishers`` and ``subscribers`` name nodes, or ``robot`` and ``user``."""

    name: str
    type: type
    qos: QoSProfile
    publishers: str
    subscribers: str
    doc: str
    #: Where consumers ask for less than the publisher offers.
    subscriber_qos: QoSProfile | None = None
    #: Between nodes of one process, by reference (see ``in_process``): as ``LATEST``.
    by_reference: bool = False

    def publisher(self, node: Node, is_temporary: bool = False) -> Publisher:
        """Return a publisher; one that ends before its node does ``is_temporary``."""
        events = PublisherEventCallbacks(use_default_callbacks=not is_temporary)
        if self.by_reference and in_process.is_open(node):
            return in_process.create_publisher(node, self.type, self.name, self.qos, events)
        return node.create_publisher(self.type, self.name, self.qos, event_callbacks=events)

    def subscription(
        self,
        node: Node,
        callback: Callable[[Any], None],
        is_temporary: bool = False,
        **options: Any,
    ) -> Subscription | Inbox:
        """Return a subscription; one that ends before its node does ``is_temporary``."""
        if self.by_reference and in_process.is_open(node):
            return Inbox(node, self.name, callback)
        qos = self.subscriber_qos or self.qos
        events = SubscriptionEventCallbacks(use_default_callbacks=not is_temporary)
        return node.create_subscription(
            self.type, self.name, callback, qos, event_callbacks=events, **options
        )


def unsubscribe(node: Node, subscription: Subscription | Inbox) -> None:
    """Undo ``Topic.subscription``."""
    if isinstance(subscription, Inbox):
        subscription.close()
    else:
        node.destroy_subscription(subscription)


@dataclass(frozen=True)
class ServiceName:
    """One service, private to the node that serves it."""

    name: str
    type: type
    server: str
    doc: str

    def serve(self, node: Node, callback: Callable[[Any, Any], Any]) -> Service:
        return node.create_service(self.type, self.name, callback)


#: Frame of the simulated camera (REP 103: z forward, x right, y down).
CAMERA_FRAME = 'camera_optical_frame'

IMAGE_RAW = Topic(
    'camera/image_raw',
    Image,
    LATEST,
    'robot, sim',
    'camera',
    'camera frames in any common encoding',
    subscriber_qos=SENSOR,
)
IMAGE_COMPRESSED = Topic(
    'camera/image_raw/compressed',
    CompressedImage,
    LATEST,
    'robot',
    'camera',
    'the same as JPEG or PNG',
    subscriber_qos=SENSOR,
)
CAMERA_INFO = Topic(
    'camera/camera_info',
    CameraInfo,
    LATEST,
    'robot, sim',
    'camera',
    'intrinsics of the raw frames',
    subscriber_qos=SENSOR,
)
DEPTH = Topic(
    'camera/depth/image_raw',
    Image,
    LATEST,
    'robot',
    'marker',
    'optional: depth aligned to camera/image_raw, 32FC1 m or 16UC1 mm',
    subscriber_qos=SENSOR,
)
CAMERA_POSE = Topic(
    'camera/pose',
    PoseStamped,
    LATCHED,
    'sim',
    'marker',
    'pose of the optical frame in the base frame',
)
COMMAND = Topic(
    'natural_language_command',
    String,
    EVENTS,
    'user',
    'command, pose',
    'what to do; empty or "stop" means hold, now',
)
ROBOT_POSE = Topic(
    'robot_pose',
    PoseStamped,
    LATEST,
    'robot, sim',
    'inference, pose',
    'measured end-effector pose',
    subscriber_qos=SENSOR,
)
GRIPPER_STATE = Topic(
    'gripper_state',
    Float32,
    LATEST,
    'robot, sim',
    'inference',
    'measured gripper closing, 0 open .. 1 closed',
    subscriber_qos=SENSOR,
)
IMAGE = Topic(
    'vla/image',
    Image,
    LATEST,
    'camera',
    'inference, marker',
    'model-sized rgb8 frame with the header of the raw one',
    by_reference=True,
)
MODEL_CAMERA_INFO = Topic(
    'vla/camera_info',
    CameraInfo,
    LATEST,
    'camera',
    'marker',
    'intrinsics after the crop and resize',
)
COMMAND_EMBEDDING = Topic(
    'vla/command_embedding',
    Image,
    LATCHED,
    'command',
    'inference, pose, marker',
    '32FC1, height = tokens, width = features; stamp = identity of the command, frame_id = its '
    'text and, on a second line, what each token stands for; height 0 = no task',
)
ACTION_CHUNK = Topic(
    'vla/action_chunk',
    JointTrajectory,
    LATEST,
    'inference',
    'pose, marker',
    'named float channels over time; header = image stamp and frame of the poses',
    by_reference=True,
)
ATTENTION = Topic(
    'vla/attention',
    Image,
    LATEST,
    'inference',
    'marker',
    '32FC1, one plane a token stacked by height: height = tokens * grid rows; image header',
)
SALIENCY = Topic(
    'vla/saliency',
    Image,
    LATEST,
    'inference',
    'marker',
    'the same by the gradient of the action, only computed while somebody subscribes',
)
ROBOT_ACTION = Topic(
    'robot_action',
    PoseStamped,
    LATEST,
    'pose',
    'robot, sim, marker',
    'servo-ready target pose at a fixed rate, from the first motion on',
)
GRIPPER_ACTION = Topic(
    'gripper_action', Float32, LATEST, 'pose', 'robot, sim', '0 open .. 1 closed'
)
MARKERS = Topic(
    'multimodal_viz',
    MarkerArray,
    LATEST,
    'marker',
    'RViz',
    'attention on the table, predicted chunk, target pose, workspace, command, state',
)
ATTENTION_IMAGE = Topic(
    'vla/attention_image',
    Image,
    LATEST,
    'marker',
    'RViz, user',
    'heat map over the frame, with the words and their weights below',
)
ATTENTION_ENTROPY = Topic(
    'vla/attention_entropy',
    Float32,
    LATEST,
    'marker',
    'user',
    'spread of the attention that is shown: 0 one cell .. 1 everywhere the same',
)
STATUS = Topic(
    'vla/status',
    DiagnosticStatus,
    LATCHED,
    'pose',
    'user, inference, marker',
    'task state, reason, command, progress',
)
ESTOP_BUTTON = Topic(
    'estop_button',
    Bool,
    LATEST,
    'user',
    'pose',
    'true: pressed. Once heard it has to go on, at 5 Hz or more: silence counts as pressed',
    subscriber_qos=SENSOR,
)
SIM_STATE = Topic(
    'sim/state',
    String,
    LATCHED,
    'sim',
    'user',
    'ground truth as JSON: scene, objects, time, success of each task that can be asked',
)
CLOCK = Topic(
    '/clock',
    Clock,
    LATEST,
    'sim',
    'every node with use_sim_time',
    'simulated time, where publish_clock is set',
)
DIAGNOSTICS = Topic(
    '/diagnostics',
    DiagnosticArray,
    EVENTS,
    'all',
    'user',
    'rates, ages, latency percentiles, counters by reason',
)

TOPICS: tuple[Topic, ...] = tuple(v for v in list(globals().values()) if isinstance(v, Topic))


def check_remaps(rules: Iterable[tuple[str, str]]) -> None:
    """Raise ConfigurationError for a rule for no topic: ROS would ignore it without a word."""
    names = [topic.name for topic in TOPICS]
    for old, new in rules:
        if old not in names:
            similar = get_close_matches(old, names, n=1)
            advice = f'did you mean {similar[0]}?' if similar else f'valid: {", ".join(names)}'
            raise ConfigurationError(f'remap {old}:={new}: there is no topic {old}; {advice}')


ESTOP = ServiceName('~/estop', Trigger, 'pose', 'hold and latch, beyond a restart, until reset')
RESET = ServiceName('~/reset', Trigger, 'pose', 'release the e-stop latch, unless its cause lasts')
CANCEL = ServiceName('~/cancel', Trigger, 'pose', 'end the task and hold')
ENABLE = ServiceName(
    '~/enable',
    SetBool,
    'pose',
    'allow motion, from slow to fast, or forbid it until allowed or this node ends',
)
SIM_RESET = ServiceName('~/reset', Trigger, 'sim', 'a new seeded scene, arm at its start pose')

SERVICES: tuple[ServiceName, ...] = tuple(
    v for v in list(globals().values()) if isinstance(v, ServiceName)
)
