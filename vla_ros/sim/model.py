"""
The MuJoCo model of a scene: table, six-joint arm with a two-finger gripper, objects and zones.

At joint zero the upper arm points up, the forearm forward and the gripper down, so the wrist is
far from its singularity over the whole table. The site ``tcp`` lies between the finger pads; its z
axis is the approach direction. Contacts follow MuJoCo's advice for grasping: elliptic friction
cones, ``impratio`` 10, torsional friction, force-limited position-controlled fingers.
"""

from __future__ import annotations

import numpy as np

from vla_ros.geometry import Pose, quaternion_from_matrix, quaternion_to_matrix
from vla_ros.interfaces import CameraModel
from vla_ros.sim.scene import (
    CENTRE_HEIGHT_M,
    COLOURS,
    Look,
    OBJECT_RADIUS_M,
    ObjectSpec,
    SceneSpec,
    ZONE_RADIUS_M,
)

TIMESTEP_S = 0.004
ARM_JOINTS = ('yaw', 'shoulder', 'elbow', 'roll', 'wrist', 'flange')
FINGER_TRAVEL_M = 0.045

_CAMERA_POSITION = np.array([1.06, 0.0, 0.74])
_CAMERA_TARGET = np.array([0.41, 0.0, 0.02])
_CAMERA_FOV_RAD = np.deg2rad(39.0)

_SHAPE_GEOM = {
    'block': f'type="box" size="{OBJECT_RADIUS_M} {OBJECT_RADIUS_M} {OBJECT_RADIUS_M}"',
    'cylinder': f'type="cylinder" size="{OBJECT_RADIUS_M} {CENTRE_HEIGHT_M["cylinder"]}"',
    'ball': f'type="sphere" size="{OBJECT_RADIUS_M}"',
}
#: Sliding, torsional and rolling friction; balls are soft and stop soon after they are let go.
_SHAPE_FRICTION = {
    'block': '1.2 0.01 0.0005',
    'cylinder': '1.2 0.01 0.0005',
    'ball': '1.2 0.01 0.012',
}


def camera_model(look: Look, width_px: int, height_px: int) -> CameraModel:
    """Return the camera in front of the table, facing the robot, with the look's small shifts."""
    position = _CAMERA_POSITION + np.asarray(look.camera_shift_m)
    forward = _CAMERA_TARGET - _CAMERA_POSITION
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pitch, yaw = look.camera_tilt_rad
    forward = forward + pitch * down + yaw * right
    forward /= np.linalg.norm(forward)
    right = np.cross(down, forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    focal_px = 0.5 * min(width_px, height_px) / np.tan(_CAMERA_FOV_RAD / 2.0)
    base_from_camera = np.stack([right, down, forward], axis=1)
    return CameraModel(
        width=width_px,
        height=height_px,
        fx=focal_px,
        fy=focal_px,
        cx=(width_px - 1) / 2.0,
        cy=(height_px - 1) / 2.0,
        base_from_camera=Pose(position, quaternion_from_matrix(base_from_camera)),
    )


def model_xml(scene: SceneSpec, width_px: int, height_px: int) -> str:
    """Return the MJCF of a scene seen by a camera of that many pixels."""
    rng = np.random.default_rng(scene.look.tint_seed)
    objects = ''.join(_object_xml(o, scene.look, rng) for o in scene.objects)
    zones = ''.join(
        f'<geom name="zone {z.name}" type="cylinder" size="{ZONE_RADIUS_M} 0.0006" '
        f'pos="{z.x} {z.y} 0.0004" rgba="{_rgba(0.75 * np.array(COLOURS[z.colour]) + 0.22)}" '
        'contype="0" conaffinity="0"/>'
        for z in scene.zones
    )
    table = np.asarray(scene.look.table_rgb)
    camera = camera_model(scene.look, width_px, height_px)
    return f"""
<mujoco model="tabletop">
  <option timestep="{TIMESTEP_S}" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <compiler angle="radian" autolimits="true"/>
  <visual><global offwidth="{width_px}" offheight="{height_px}"/></visual>
  <default>
    <geom friction="1.2 0.01 0.0005" condim="4" solref="0.006 1"/>
    <joint damping="2" armature="0.05"/>
    <default class="arm">
      <geom rgba="0.87 0.88 0.90 1" contype="0" conaffinity="0"/>
      <position kp="1500" kv="120" forcerange="-300 300"/>
    </default>
    <default class="wrist"><position kp="150" kv="8" forcerange="-40 40"/></default>
    <default class="dark"><geom rgba="0.24 0.26 0.30 1" contype="0" conaffinity="0"/></default>
    <default class="finger">
      <joint type="slide" damping="8" armature="0.02" range="0 {FINGER_TRAVEL_M}"/>
      <geom type="box" size="0.011 0.005 0.034" pos="0 0 -0.022" rgba="0.20 0.21 0.24 1"
            friction="1.5 0.02 0.001" condim="6" mass="0.03"/>
      <position kp="600" kv="15" forcerange="-12 12"/>
    </default>
  </default>
  <worldbody>
    <light name="lamp" pos="{_numbers(scene.look.light_position)}" dir="-0.2 -0.2 -1"/>
    <camera name="front" pos="{_numbers(camera.base_from_camera.position)}"
            quat="{_mujoco_camera_quat(camera)}" fovy="{np.rad2deg(_vertical_fov(camera))}"/>
    <geom name="floor" type="plane" size="5 5 0.1" pos="0 0 -0.7" rgba="0.55 0.58 0.62 1"
          contype="0" conaffinity="0"/>
    <geom name="table" type="box" size="0.48 0.42 0.02" pos="0.30 0 -0.02" rgba="{_rgba(table)}"/>
    {_rim_xml(0.82 * table)}
    {zones}
    {_ARM_XML}
    {objects}
  </worldbody>
  <actuator>
    {''.join(f'<position class="arm" joint="{j}"/>' for j in ARM_JOINTS[:3])}
    {''.join(f'<position class="wrist" joint="{j}"/>' for j in ARM_JOINTS[3:])}
    <position class="finger" joint="left_finger"/>
    <position class="finger" joint="right_finger"/>
  </actuator>
</mujoco>
"""


# The finger geoms reach 12 mm below the tcp: deep enough to hold, short enough to clear the table.
_ARM_XML = """
<body name="base" childclass="arm" gravcomp="1">
  <geom class="dark" type="cylinder" size="0.075 0.03" pos="0 0 0.03"/>
  <body name="column" pos="0 0 0.06" gravcomp="1">
    <joint name="yaw" axis="0 0 1" range="-2.6 2.6"/>
    <geom type="cylinder" size="0.055 0.10" pos="0 0 0.10" mass="3"/>
    <body name="upper_arm" pos="0 0 0.24" gravcomp="1">
      <joint name="shoulder" axis="0 1 0" range="-1.6 1.9"/>
      <geom class="dark" type="cylinder" size="0.055 0.065" euler="1.5708 0 0" mass="1"/>
      <geom type="capsule" size="0.042" fromto="0 0 0.04 0 0 0.34" mass="2"/>
      <body name="forearm" pos="0 0 0.38" gravcomp="1">
        <joint name="elbow" axis="0 1 0" range="-1.5 2.2"/>
        <geom class="dark" type="cylinder" size="0.045 0.055" euler="1.5708 0 0" mass="0.8"/>
        <geom type="capsule" size="0.034" fromto="0.04 0 0 0.27 0 0" mass="1.2"/>
        <body name="wrist_roll" pos="0.30 0 0" gravcomp="1">
          <joint name="roll" axis="1 0 0" range="-3.0 3.0"/>
          <geom class="dark" type="cylinder" size="0.036 0.03" euler="0 1.5708 0" mass="0.4"/>
          <body name="wrist_pitch" pos="0.06 0 0" gravcomp="1">
            <joint name="wrist" axis="0 1 0" range="-2.2 2.2"/>
            <geom type="cylinder" size="0.032 0.042" euler="1.5708 0 0" mass="0.3"/>
            <body name="hand" pos="0 0 -0.05" gravcomp="1">
              <joint name="flange" axis="0 0 -1" range="-3.1 3.1"/>
              <geom class="dark" type="cylinder" size="0.028 0.02" mass="0.2"/>
              <geom name="palm" type="box" size="0.020 0.058 0.014" pos="0 0 -0.032" mass="0.2"/>
              <site name="tcp" pos="0 0 -0.115" euler="3.14159265 0 0" rgba="0 0 0 0"/>
              <body name="left" pos="0 0.005 -0.071" childclass="finger" gravcomp="1">
                <joint name="left_finger" axis="0 1 0"/>
                <geom name="left_pad"/>
              </body>
              <body name="right" pos="0 -0.005 -0.071" childclass="finger" gravcomp="1">
                <joint name="right_finger" axis="0 -1 0"/>
                <geom name="right_pad"/>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </body>
</body>
"""


def _object_xml(spec: ObjectSpec, look: Look, rng: np.random.Generator) -> str:
    rgb = np.clip(np.array(COLOURS[spec.colour]) + rng.uniform(-look.tint, look.tint, 3), 0, 1)
    half = spec.yaw_rad / 2.0
    return (
        f'<body name="{spec.name}" pos="{spec.x} {spec.y} {CENTRE_HEIGHT_M[spec.shape]}" '
        f'quat="{np.cos(half)} 0 0 {np.sin(half)}">'
        f'<joint name="{spec.name}" type="free" damping="0.001" armature="0"/>'
        f'<geom name="{spec.name}" {_SHAPE_GEOM[spec.shape]} rgba="{_rgba(rgb)}" mass="0.06" '
        f'friction="{_SHAPE_FRICTION[spec.shape]}" condim="6"/></body>'
    )


def _rim_xml(rgb: np.ndarray) -> str:
    """Return a low border that keeps balls on the table."""
    sides = (
        ('0.48 0.008 0.016', '0.30 0.412 0.012'),
        ('0.48 0.008 0.016', '0.30 -0.412 0.012'),
        ('0.008 0.42 0.016', '0.772 0 0.012'),
        ('0.008 0.42 0.016', '-0.172 0 0.012'),
    )
    return ''.join(
        f'<geom type="box" size="{size}" pos="{pos}" rgba="{_rgba(rgb)}"/>' for size, pos in sides
    )


def _vertical_fov(camera: CameraModel) -> float:
    return float(2.0 * np.arctan(camera.height / 2.0 / camera.fy))


def _mujoco_camera_quat(camera: CameraModel) -> str:
    """Return (w, x, y, z) of MuJoCo's camera frame: x right, y up, z backward."""
    optical = quaternion_to_matrix(camera.base_from_camera.quaternion)
    x, y, z, w = quaternion_from_matrix(optical @ np.diag([1.0, -1.0, -1.0]))
    return f'{w} {x} {y} {z}'


def _numbers(values: object) -> str:
    return ' '.join(f'{v:.6f}' for v in np.asarray(values, dtype=float))


def _rgba(rgb: object) -> str:
    return _numbers(np.clip(np.asarray(rgb, dtype=float), 0, 1)) + ' 1'
