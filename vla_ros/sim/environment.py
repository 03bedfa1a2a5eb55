"""The tabletop environment: reset, step one control tick, look."""

from __future__ import annotations

import os

# The ray-cast camera needs no OpenGL; without this the import would look for a display.
os.environ.setdefault('MUJOCO_GL', 'disable')

import mujoco  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from vla_ros.errors import ConfigurationError  # noqa: E402
from vla_ros.geometry import Array, Pose, quaternion_from_matrix  # noqa: E402
from vla_ros.interfaces import CameraModel  # noqa: E402
from vla_ros.sim.camera import Frame, RayCamera  # noqa: E402
from vla_ros.sim.model import camera_model, FINGER_TRAVEL_M, model_xml, TIMESTEP_S  # noqa: E402
from vla_ros.sim.robot import ArmKinematics  # noqa: E402
from vla_ros.sim.scene import sample_scene, SceneSpec  # noqa: E402

CONTROL_DT_S = 0.02
_SUBSTEPS = round(CONTROL_DT_S / TIMESTEP_S)

#: The gripper pointing straight down with its fingers opening along y.
GRIPPER_DOWN = (1.0, 0.0, 0.0, 0.0)

#: Fingers that are closed further than this hold nothing; an object stops them half way.
_EMPTY_CLOSING = 0.9

#: The box that the gripper may use, in the base frame: lower and upper corner, m.
WORKSPACE_MIN = (0.18, -0.38, 0.010)
WORKSPACE_MAX = (0.70, 0.38, 0.45)


class TabletopEnv:
    """
    A simulated arm on a table, controlled by end-effector targets.

    Deterministic: the same seed and the same targets give the same states. Not thread-safe.
    """

    def __init__(
        self, image_size_px: int | tuple[int, int] = 192, renderer: str = 'rays', seed: int = 0
    ) -> None:
        size = (image_size_px,) * 2 if isinstance(image_size_px, int) else image_size_px
        self._width, self._height = size
        if renderer not in ('rays', 'egl', 'osmesa'):
            raise ConfigurationError(
                f'renderer is {renderer!r}; valid: rays (needs nothing), egl, osmesa'
            )
        self._renderer = renderer
        self._gl: mujoco.Renderer | None = None
        self.reset(seed)

    def reset(self, seed: int = 0, scene: SceneSpec | None = None) -> None:
        """Build ``scene``, or the one sampled from ``seed``, and put the arm at its start."""
        self.scene = scene or sample_scene(np.random.default_rng(seed))
        self._model = mujoco.MjModel.from_xml_string(
            model_xml(self.scene, self._width, self._height)
        )
        self._data = mujoco.MjData(self._model)
        self.camera: CameraModel = camera_model(self.scene.look, self._width, self._height)
        look = self.scene.look
        self._rays = RayCamera(self.camera, look.light_position, look.ambient)
        self.close()
        self._arm = ArmKinematics(self._model)
        self._tcp = self._model.site('tcp').id
        self._fingers = [
            self._model.joint(name).qposadr[0] for name in ('left_finger', 'right_finger')
        ]
        self._geoms = {
            spec.name: int(self._model.geom(spec.name).id) for spec in self.scene.objects
        }
        self._pads = {self._model.geom('left_pad').id, self._model.geom('right_pad').id}

        joints = self._arm.solve(Pose.of(self.scene.start, GRIPPER_DOWN), iterations=200)
        self._data.qpos[self._arm.qpos_index] = joints
        self._data.qpos[self._fingers] = FINGER_TRAVEL_M
        self._data.ctrl[:6] = joints
        self._data.ctrl[6:] = FINGER_TRAVEL_M
        mujoco.mj_forward(self._model, self._data)

    def close(self) -> None:
        """Give back the OpenGL context, if there is one."""
        if self._gl is not None:
            self._gl.close()
            self._gl = None

    def step(self, target: Pose, gripper: float) -> None:
        """
        Advance one control tick of ``CONTROL_DT_S`` toward ``target``.

        ``target`` is the pose of the tcp in the base frame, ``gripper`` 0 (open) to 1 (closed).
        """
        self._data.ctrl[:6] = self._arm.solve(target)
        self._data.ctrl[6:] = FINGER_TRAVEL_M * (1.0 - float(np.clip(gripper, 0.0, 1.0)))
        mujoco.mj_step(self._model, self._data, nstep=_SUBSTEPS)
        # mj_step leaves positions of bodies and contacts one step behind the joints.
        mujoco.mj_forward(self._model, self._data)

    @property
    def time_s(self) -> float:
        return float(self._data.time)

    @property
    def end_effector(self) -> Pose:
        """Return the measured pose of the tcp in the base frame."""
        rotation = self._data.site_xmat[self._tcp].reshape(3, 3)
        return Pose(self._data.site_xpos[self._tcp].copy(), quaternion_from_matrix(rotation))

    @property
    def gripper_closing(self) -> float:
        """Return the measured closing of the gripper, 0 open to 1 closed."""
        opening = float(np.mean(self._data.qpos[self._fingers])) / FINGER_TRAVEL_M
        return float(np.clip(1.0 - opening, 0.0, 1.0))

    def object_position(self, name: str) -> Array:
        """Return the centre (3,) of an object; raises KeyError if it is not in the scene."""
        self.scene.object(name)
        return self._data.body(name).xpos.copy()

    def object_yaw(self, name: str) -> float:
        """Return an object's rotation about the vertical, rad."""
        rotation = self._data.body(name).xmat.reshape(3, 3)
        return float(np.arctan2(rotation[1, 0], rotation[0, 0]))

    def object_geom(self, name: str) -> int:
        """Return the id that ``Frame.geom_ids`` holds where the object is seen."""
        return self._geoms[name]

    def is_held(self, name: str) -> bool:
        """Say whether both fingers touch the object, and do not just stand on it, closed."""
        if self.gripper_closing > _EMPTY_CLOSING:
            return False
        # All contacts at once: iterating over them builds a Python object each.
        pairs = self._data.contact.geom[: self._data.ncon].tolist()
        geom = self.object_geom(name)
        return self._pads <= {other for pair in pairs if geom in pair for other in pair}

    def frame(self) -> Frame:
        """Return the camera's picture with depth and geom ids, by rays."""
        return self._rays.render(self._model, self._data)

    def render(self) -> NDArray[np.uint8]:
        """Return the camera's picture (h, w, 3) uint8 RGB from the chosen renderer."""
        return self.frame().rgb if self._renderer == 'rays' else self._render_gl()

    def _render_gl(self) -> NDArray[np.uint8]:
        if self._gl is None:
            if os.environ['MUJOCO_GL'] != self._renderer:
                raise ConfigurationError(
                    f'renderer {self._renderer} needs MUJOCO_GL={self._renderer} in the '
                    f'environment; it is {os.environ["MUJOCO_GL"]!r}'
                )
            self._gl = mujoco.Renderer(self._model, self._height, self._width)
        self._gl.update_scene(self._data, camera='front')
        return self._gl.render()
