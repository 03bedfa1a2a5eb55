"""
The simulated camera and robot, in place of real ones.

Subscribes: robot_action, gripper_action
Publishes: camera/image_raw, camera/camera_info, camera/pose, robot_pose, gripper_state, sim/state,
    /diagnostics, and /clock if ``publish_clock``
Serves: ~/reset (the scene of the next seed, or that of the parameter ``scene``)
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import sys
import time
from typing import Any

from geometry_msgs.msg import PoseStamped
import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from vla_ros.errors import ConfigurationError
from vla_ros.geometry import Pose
from vla_ros.interfaces import BASE_FRAME, CameraModel
from vla_ros.nodes import wiring
from vla_ros.nodes.conversions import (
    camera_to_message,
    header,
    image_to_message,
    pose_from_message,
    pose_to_message,
    to_stamp,
)
from vla_ros.nodes.diagnostics import Health, OK, report_health, Stream
from vla_ros.nodes.params import declare, SimParams
from vla_ros.nodes.runner import one_line_if_missing, run

with one_line_if_missing('sim'):  # MuJoCo, which a ROS installation does not bring
    from vla_ros.sim.background import BackgroundCamera
    from vla_ros.sim.environment import CONTROL_DT_S, TabletopEnv
    from vla_ros.sim.ground_truth import ground_truth
    from vla_ros.sim.scene_json import scene_from_json

STATE_RATE_HZ = 10.0
#: After a longer stall the simulation goes on from there instead of catching up in a burst.
MAX_TICKS_AT_ONCE = 5
#: As real robots, the arm does not jump: after a start or reset the first target must be near.
#: Above the tracking error at which the pose node starts anew from the measured pose.
START_WITHIN_M = 0.12


class SimNode(Node):
    def __init__(self, **options: Any) -> None:
        super().__init__('sim', **options)
        self._params = declare(self, SimParams)
        if self._params.real_time_factor != 1.0 and not self._params.publish_clock:
            raise ConfigurationError(
                f'sim: real_time_factor is {self._params.real_time_factor}; other than 1.0 needs '
                'publish_clock: true here and use_sim_time: true on every other node'
            )
        self._seed = self._params.seed
        self._env = self._make_env()
        self._camera = BackgroundCamera(self._make_env, self._publish_picture)
        self._pictures, self._actions = Stream(), Stream()
        self._build_scene()

        self._image = wiring.IMAGE_RAW.publisher(self)
        self._camera_info = wiring.CAMERA_INFO.publisher(self)
        self._camera_pose = wiring.CAMERA_POSE.publisher(self)
        self._robot_pose = wiring.ROBOT_POSE.publisher(self)
        self._gripper_state = wiring.GRIPPER_STATE.publisher(self)
        self._state = wiring.SIM_STATE.publisher(self)
        self._clock_topic = wiring.CLOCK.publisher(self) if self._params.publish_clock else None
        wiring.ROBOT_ACTION.subscription(self, self._on_action)
        wiring.GRIPPER_ACTION.subscription(self, self._on_gripper)
        wiring.SIM_RESET.serve(self, self._on_reset)
        report_health(self, self._health)
        self.add_on_set_parameters_callback(self._on_parameters)

        self._ticks = 0
        self._tick_period_s = CONTROL_DT_S / self._params.real_time_factor
        self._due_s = time.monotonic()
        self._publish_camera_pose()
        self.get_logger().info(f'scene of seed {self._seed}')
        self.create_timer(
            self._tick_period_s, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def destroy_node(self) -> None:
        self._camera.stop(timeout_s=1.0)
        super().destroy_node()

    def _make_env(self) -> TabletopEnv:
        size = (self._params.image_width, self._params.image_height)
        return TabletopEnv(size, self._params.renderer, seed=self._params.seed)

    def _now_ns(self) -> int:
        """Return the stamp of the present state: simulated time only where others can follow."""
        if self._clock_topic is None:
            return self.get_clock().now().nanoseconds
        # Counted here, for the environment's own time starts again at each reset.
        return round(self._ticks * CONTROL_DT_S * 1e9)

    def _build_scene(self) -> None:
        text = self.get_parameter('scene').value
        self._env.reset(self._seed, scene_from_json(text) if text else None)
        self._camera.reset(self._env.scene)
        self._target, self._gripper = self._env.end_effector, 0.0
        self._follows = False

    def _on_action(self, message: PoseStamped) -> None:
        target = pose_from_message(message)
        if (fault := self._fault(message.header.frame_id, target)) is not None:
            self.get_logger().warning(f'refused an action: {fault}', throttle_duration_sec=1.0)
            return
        self._actions.tick()
        self._target, self._follows = target, True

    def _fault(self, frame_id: str, target: Pose) -> str | None:
        """Return why a target is not followed, or None."""
        if frame_id != BASE_FRAME:
            return f'it is in frame {frame_id!r}, not {BASE_FRAME!r}'
        if not abs(float(np.linalg.norm(target.quaternion)) - 1.0) < 1e-3:
            return f'{target.quaternion} is no unit quaternion'
        distance_m = float(np.linalg.norm(target.position - self._env.end_effector.position))
        if not np.isfinite(distance_m):
            return f'{target.position} is not finite'
        if not self._follows and distance_m > START_WITHIN_M:
            return f'the first one is {distance_m:.2f} m from the gripper; start near it'
        return None

    def _on_gripper(self, message: Float32) -> None:
        if np.isfinite(message.data):
            self._gripper = min(max(message.data, 0.0), 1.0)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._seed += 1
        self._build_scene()
        self._publish_camera_pose()
        self._publish_state()
        self.get_logger().info(f'scene of seed {self._seed}')
        response.success, response.message = True, f'seed {self._seed}'
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            for text in (p.value for p in parameters if p.name == 'scene' and p.value):
                scene_from_json(text)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_timer(self) -> None:
        late_s = time.monotonic() - self._due_s
        due = min(1 + int(late_s / self._tick_period_s), MAX_TICKS_AT_ONCE)
        self._due_s = max(
            self._due_s + due * self._tick_period_s, time.monotonic() - self._tick_period_s
        )
        for _ in range(due):
            self._tick()

    def _tick(self) -> None:
        self._env.step(self._target, self._gripper)
        self._camera.step(self._target, self._gripper)
        self._ticks += 1
        now_ns = self._now_ns()
        if self._clock_topic is not None:
            self._clock_topic.publish(ClockMessage(clock=to_stamp(now_ns)))
        self._robot_pose.publish(pose_to_message(self._env.end_effector, now_ns, BASE_FRAME))
        self._gripper_state.publish(Float32(data=self._env.gripper_closing))
        if self._is_due(self._params.camera_rate_hz):
            self._camera.shoot(now_ns)
        if self._is_due(STATE_RATE_HZ):
            self._publish_state()

    def _is_due(self, rate_hz: float) -> bool:
        """Say whether a stream of ``rate_hz``, in simulated time, has a turn at this tick."""
        return int(self._ticks * CONTROL_DT_S * rate_hz + 1e-6) > int(
            (self._ticks - 1) * CONTROL_DT_S * rate_hz + 1e-6
        )

    def _publish_picture(
        self, stamp_ns: int, image: NDArray[np.uint8], camera: CameraModel
    ) -> None:
        self._pictures.tick()
        self._camera_info.publish(camera_to_message(camera, stamp_ns, wiring.CAMERA_FRAME))
        self._image.publish(image_to_message(image, header(stamp_ns, wiring.CAMERA_FRAME)))

    def _publish_camera_pose(self) -> None:
        pose = self._env.camera.base_from_camera
        self._camera_pose.publish(pose_to_message(pose, self._now_ns(), BASE_FRAME))

    def _publish_state(self) -> None:
        self._state.publish(String(data=json.dumps(ground_truth(self._env, self._seed))))

    def _health(self) -> Health:
        values = {
            'seed': self._seed,
            'time_s': self._env.time_s,
            'image_rate_hz': self._pictures.rate_hz(),
            'images_skipped': self._camera.skipped,
            'actions': self._actions.count,
        }
        return Health(OK, 'ok', values)


def main(args: Sequence[str] | None = None) -> int:
    return run(SimNode, args)


if __name__ == '__main__':
    sys.exit(main())
