"""
The live page's side of the graph: what browsers are shown, and what they ask for.

Subscribes: vla/image, camera/image_raw (if small), vla/attention, vla/command_embedding,
vla/action_chunk, robot_action, robot_pose, gripper_state, vla/status, sim/state
Publishes: natural_language_command
Calls: the pose node's ~/estop, ~/reset, ~/cancel and the sim node's ~/reset

Nothing is drawn while nobody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
import time
from typing import Any

from geometry_msgs.msg import PoseStamped
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32
from trajectory_msgs.msg import JointTrajectory

from vla_ros.interfaces import EncodedCommand
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.nodes.conversions import (
    attention_from_message,
    chunk_from_message,
    command_from_message,
    pose_from_message,
    to_ns,
)
from vla_ros.pipeline.image import decode_rgb, RawImage
from vla_ros.pipeline.recent import Recent
from vla_ros.web.history import History
from vla_ros.web.server import CANCEL, ESTOP, LiveServer, RESET, SCENE, Wish
from vla_ros.web.snapshot import policy_crop, Sight, snapshot, View

RATE_HZ = 10.0
#: Larger raw frames would cost the graph more than they show: then what the policy saw is shown.
MAX_RAW_PIXELS = 320 * 240
MAX_IMAGE_BYTES = 16_000_000
#: Frames that wait for their attention.
KEPT_FRAMES = 16
#: Without a newer one for so long, a chunk or an attention is over.
FRESH_S = 0.6

#: What each of the page's buttons calls.
SERVICES: Mapping[str, wiring.ServiceName] = {
    ESTOP: wiring.ESTOP,
    RESET: wiring.RESET,
    CANCEL: wiring.CANCEL,
    SCENE: wiring.SIM_RESET,
}


class WebBridge:
    """Shows the graph of ``user`` to the browsers of ``server`` and does what they ask for."""

    def __init__(self, user: Client, server: LiveServer) -> None:
        self._user, self._server = user, server
        self._view = View()
        self._history = History()
        self._frames: Recent[Image] = Recent(KEPT_FRAMES)
        self._raw_frames: Recent[Image] = Recent(KEPT_FRAMES)
        self._newest_ns, self._size = 0, (0, 0)
        #: The command that each frame was inferred for.
        self._served: Recent[int] = Recent(KEPT_FRAMES)
        self._command: EncodedCommand | None = None
        self._attention: Image | None = None
        self._heard_s: dict[str, float] = {}
        self._takes_raw = False
        # Made now: an e-stop does not wait for discovery.
        self._services = {name: user.service(service) for name, service in SERVICES.items()}
        self._watch(user)

    def _watch(self, user: Client) -> None:
        user.watch(wiring.CAMERA_INFO, self._on_camera_info)
        user.watch(wiring.IMAGE, self._on_image)
        user.watch(wiring.ATTENTION, self._on_attention)
        user.watch(wiring.COMMAND_EMBEDDING, self._on_command)
        user.watch(wiring.ACTION_CHUNK, self._on_chunk)
        user.watch(wiring.ROBOT_ACTION, self._on_target)
        user.watch(wiring.ROBOT_POSE, self._on_robot_pose)
        user.watch(wiring.GRIPPER_STATE, self._on_gripper)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Show and obey until ``until`` says so or Ctrl-C."""
        due_s, statuses = 0.0, 0
        while not until():
            self._user.wait(lambda: not self._server.wishes.empty(), 1.0 / RATE_HZ)
            while not self._server.wishes.empty():
                self._obey(self._server.wishes.get())
            if self._user.status_count != statuses:
                statuses = self._user.status_count
                self._heard('status')
                self._history.note(self._user.status.values)
            if self._server.viewers and time.monotonic() >= due_s:
                due_s = time.monotonic() + 0.8 / RATE_HZ
                self._server.publish(snapshot(self._look_around()))

    def _obey(self, wish: Wish) -> None:
        if wish.say is not None:
            self._user.publish(wish.say)
        elif wish.press is not None:
            if wish.press == SCENE:  # a task in the old scene is over
                self._call(CANCEL, lambda *_: None)
            self._call(wish.press, lambda *told: self._server.answer(wish.viewer, *told))

    def _call(self, name: str, tell: Callable[[str, bool], None]) -> None:
        service, client = SERVICES[name], self._services[name]
        if not client.service_is_ready():
            tell(f'{name}: the {service.server} node does not answer', False)
            return
        kind: Any = service.type
        future = client.call_async(kind.Request())
        future.add_done_callback(
            lambda done: tell(f'{name}: {done.result().message}', done.result().success)
        )

    def _look_around(self) -> View:
        view = self._view
        view.sight = self._sight()
        view.status = self._user.status.values
        view.status_age_s = self._age_s('status')
        view.scene = self._user.sim_state
        view.history = self._history.entries()
        if self._age_s('chunk') > FRESH_S:
            view.chunk = None
        return view

    def _sight(self) -> Sight | None:
        """Return a frame with the attention over that very frame, else the newest frame alone."""
        stamp_ns, attention = self._fresh_attention()
        if self._frames.get(stamp_ns) is None and self._raw_frames.get(stamp_ns) is None:
            stamp_ns, attention = self._newest_ns, None
        image = self._picture(stamp_ns)
        if image is None:
            return None
        return Sight(image, attention, self._command.pieces if self._command else ())

    def _fresh_attention(self) -> tuple[int, NDArray[np.float32] | None]:
        message, command = self._attention, self._command
        if message is None or command is None or self._age_s('attention') > FRESH_S:
            return 0, None
        stamp_ns = to_ns(message.header.stamp)
        if command.is_empty or self._served.get(stamp_ns) != command.stamp_ns:
            return 0, None  # it belongs to the words of the command before
        try:
            attention = attention_from_message(message, len(command.tokens))
        except ValueError:
            return 0, None
        return (stamp_ns, attention) if attention.size else (0, None)

    def _picture(self, stamp_ns: int) -> NDArray[np.uint8] | None:
        """Return the frame of that stamp as the policy sees it, from the finer picture if any."""
        raw, small = self._raw_frames.get(stamp_ns), self._frames.get(stamp_ns)
        try:
            if raw is not None and min(self._size) > 0:
                image = decode_rgb(RawImage.of(raw), MAX_IMAGE_BYTES)
                return policy_crop(image, *self._size)
            if small is not None:
                return decode_rgb(RawImage.of(small), MAX_IMAGE_BYTES)
        except ValueError:
            pass
        return None

    def _on_image(self, message: Image) -> None:
        self._size = message.width, message.height
        self._keep(self._frames, message)

    def _on_raw_image(self, message: Image) -> None:
        self._keep(self._raw_frames, message)

    def _keep(self, frames: Recent[Image], message: Image) -> None:
        if 0 < len(message.data) <= MAX_IMAGE_BYTES:
            self._newest_ns = to_ns(message.header.stamp)
            frames.add(self._newest_ns, message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        if not self._takes_raw and 0 < message.width * message.height <= MAX_RAW_PIXELS:
            self._takes_raw = True
            self._user.watch(wiring.IMAGE_RAW, self._on_raw_image)

    def _on_attention(self, message: Image) -> None:
        self._attention = message
        self._heard('attention')

    def _on_command(self, message: Image) -> None:
        try:
            self._command = command_from_message(message)
        except ValueError:
            self._command = None
        self._attention = self._view.chunk = None

    def _on_chunk(self, message: JointTrajectory) -> None:
        try:
            chunk = chunk_from_message(message)
        except ValueError:
            return
        self._served.add(chunk.stamp_ns, chunk.command_stamp_ns)
        if self._command is not None and chunk.command_stamp_ns == self._command.stamp_ns:
            self._view.chunk = chunk
            self._heard('chunk')

    def _on_target(self, message: PoseStamped) -> None:
        self._view.target = pose_from_message(message)

    def _on_robot_pose(self, message: PoseStamped) -> None:
        self._view.measured = pose_from_message(message)

    def _on_gripper(self, message: Float32) -> None:
        self._view.gripper = message.data

    def _heard(self, what: str) -> None:
        self._heard_s[what] = time.monotonic()

    def _age_s(self, what: str) -> float:
        return time.monotonic() - self._heard_s.get(what, -math.inf)
