"""
The arm's inverse kinematics: damped least squares on MuJoCo's site Jacobian.

Each control tick starts from the last solution, so a few iterations suffice and the joints follow
the pose smoothly (Wampler 1986; Buss, "Introduction to inverse kinematics", 2004).
"""

from __future__ import annotations

import mujoco
import numpy as np

from vla_ros.geometry import (
    Array,
    Pose,
    quaternion_conjugate,
    quaternion_from_matrix,
    quaternion_multiply,
)
from vla_ros.sim.model import ARM_JOINTS

_DAMPING = 0.02
_MAX_JOINT_STEP_RAD = 0.25
_HOME_RAD = np.array([0.0, -0.35, 0.75, 0.0, -0.40, 0.0])


class ArmKinematics:
    """Solves joint angles (6,) in rad for poses of the site ``tcp`` in the base frame."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._site = model.site('tcp').id
        joints = [model.joint(name) for name in ARM_JOINTS]
        self.qpos_index = np.array([j.qposadr[0] for j in joints])
        self._dof_index = np.array([j.dofadr[0] for j in joints])
        self._lower = np.array([j.range[0] for j in joints])
        self._upper = np.array([j.range[1] for j in joints])
        self._jacobian = np.zeros((6, model.nv))
        self.joints_rad = _HOME_RAD.copy()

    def forward(self, joints_rad: Array) -> Pose:
        """Return the pose of the tcp at the given joint angles."""
        self._data.qpos[self.qpos_index] = joints_rad
        mujoco.mj_kinematics(self._model, self._data)
        rotation = self._data.site_xmat[self._site].reshape(3, 3)
        return Pose(self._data.site_xpos[self._site].copy(), quaternion_from_matrix(rotation))

    def solve(self, target: Pose, iterations: int = 4) -> Array:
        """Return joint angles (6,) toward ``target``, starting from the last solution."""
        for _ in range(iterations):
            error = self._error(target)
            if np.abs(error).max() < 1e-5:
                break
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jacSite(
                self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site
            )
            jacobian = self._jacobian[:, self._dof_index]
            damped = jacobian @ jacobian.T + _DAMPING**2 * np.eye(6)
            step = jacobian.T @ np.linalg.solve(damped, error)
            step *= min(1.0, _MAX_JOINT_STEP_RAD / max(float(np.abs(step).max()), 1e-12))
            self.joints_rad = np.clip(self.joints_rad + step, self._lower, self._upper)
        return self.joints_rad

    def _error(self, target: Pose) -> Array:
        """Return (6,): the translation and rotation vector still missing, base frame."""
        pose = self.forward(self.joints_rad)
        q = quaternion_multiply(target.quaternion, quaternion_conjugate(pose.quaternion))
        if q[3] < 0:
            q = -q
        sine = float(np.linalg.norm(q[:3]))
        angle = 2.0 * np.arctan2(sine, q[3])
        rotation = q[:3] * (angle / sine) if sine > 1e-9 else 2.0 * q[:3]
        return np.concatenate([target.position - pose.position, rotation])
