"""
What RViz draws: one function a marker, each with its own namespace and a stable id.

Every marker vanishes on its own when nothing renews it. What would be empty is None. All together
have at most ``MAX_POINTS`` points.
"""

from __future__ import annotations

from collections.abc import Iterable

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
import numpy as np
from numpy.typing import ArrayLike
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from vla_ros.geometry import Array, Pose, quaternion_to_matrix
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.nodes.conversions import pose_message
from vla_ros.pipeline.attention import colours, MAX_CELLS

LIFETIME_S = 1
MAX_POINTS = 2000
#: A longer path is drawn through fewer of its points; the rest is left to the fixed shapes.
MAX_PATH_POINTS = MAX_POINTS - MAX_CELLS - 100
#: Cells fainter than this share of the heaviest are not drawn.
FAINT = 0.05
CELL_THICKNESS_M = 0.002
AXIS_LENGTH_M = 0.08
TEXT_HEIGHT_M = 0.03

_PALETTE = [
    ColorRGBA(r=r, g=g, b=b, a=a) for r, g, b, a in colours(np.linspace(0.0, 1.0, 256)).tolist()
]

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
#: Of a unit cube, both ends of each (24, 3): an edge joins corners that differ in one coordinate.
_EDGES = np.array([(a, b) for a in _CORNERS for b in _CORNERS if sorted(b - a) == [0, 0, 1]])
_EDGES = _EDGES.reshape(-1, 3)


def _rgb(r: float, g: float, b: float) -> ColorRGBA:
    return ColorRGBA(r=r, g=g, b=b, a=1.0)


_RED, _GREEN, _BLUE = _rgb(0.9, 0.2, 0.2), _rgb(0.2, 0.8, 0.2), _rgb(0.2, 0.4, 1.0)
_WHITE, _GREY = _rgb(1.0, 1.0, 1.0), _rgb(0.55, 0.6, 0.65)
_OPEN, _CLOSED = np.array([0.2, 0.9, 0.4]), np.array([1.0, 0.5, 0.1])
_STATE_COLOURS = {'running': _rgb(0.3, 0.9, 0.5), 'succeeded': _rgb(0.3, 0.9, 0.5)}
_STATE_COLOURS |= {'holding': _rgb(1.0, 0.7, 0.2), 'estopped': _rgb(1.0, 0.25, 0.2)}


def attention_cells(
    header: Header, centres: Array, shares: Array, size_m: tuple[float, float]
) -> Marker | None:
    """Draw cells at ``centres`` (n, 3) in the colour of their ``shares`` (n,) in [0, 1]."""
    drawn = np.flatnonzero(np.isfinite(centres).all(axis=1) & (shares >= FAINT))
    if len(drawn) == 0:
        return None
    scale = (max(size_m[0], 1e-3), max(size_m[1], 1e-3), CELL_THICKNESS_M)
    marker = _marker(header, 'attention', Marker.CUBE_LIST, scale)
    marker.points = _points(centres[drawn])
    marker.colors = [_PALETTE[round(255 * share)] for share in shares[drawn].tolist()]
    return marker


def attention_peak(header: Header, position: Array) -> Marker | None:
    """Draw where the attention is greatest, at ``position`` (3,)."""
    if not np.isfinite(position).all():
        return None
    marker = _marker(header, 'attention_peak', Marker.SPHERE, (0.02, 0.02, 0.02))
    marker.pose.position = _points([position])[0]
    marker.color = _WHITE
    return marker


def chunk_path(header: Header, chunk: ActionChunk) -> Marker | None:
    """Draw the predicted path, green where the gripper is open and orange where closed."""
    path = np.stack([chunk.column(name) for name in POSE_CHANNELS[:3]], axis=1)
    has_gripper = GRIPPER_CHANNEL in chunk.channels
    closed = chunk.column(GRIPPER_CHANNEL) if has_gripper else np.zeros(len(path))
    usable = np.flatnonzero(np.isfinite(path).all(axis=1) & np.isfinite(closed))
    if len(usable) < 2:  # RViz refuses a line of one point
        return None
    if len(usable) > MAX_PATH_POINTS:
        usable = usable[np.linspace(0, len(usable) - 1, MAX_PATH_POINTS).astype(int)]
    marker = _marker(header, 'action_chunk', Marker.LINE_STRIP, (0.006, 0.0, 0.0))
    marker.points = _points(path[usable])
    share = np.clip(closed[usable], 0.0, 1.0)[:, None]
    mixed = (1.0 - share) * _OPEN + share * _CLOSED
    marker.colors = [_rgb(*rgb) for rgb in mixed.tolist()]
    return marker


def target_axes(header: Header, pose: Pose) -> Marker:
    """Draw the pose sent to the robot as axes: x red, y green, z blue."""
    marker = _marker(header, 'target_pose', Marker.LINE_LIST, (0.005, 0.0, 0.0))
    tips = pose.position + AXIS_LENGTH_M * quaternion_to_matrix(pose.quaternion).T
    marker.points = _points([p for tip in tips for p in (pose.position, tip)])
    marker.colors = [_RED, _RED, _GREEN, _GREEN, _BLUE, _BLUE]
    return marker


def workspace_box(header: Header, low: Array, high: Array) -> Marker:
    """Draw the edges of the box between two corners (3,)."""
    marker = _marker(header, 'workspace', Marker.LINE_LIST, (0.002, 0.0, 0.0))
    marker.points = _points(low + (high - low) * _EDGES)
    marker.color = _GREY
    return marker


def command_text(header: Header, position: Iterable[float], words: str) -> Marker:
    """Write what the robot was told, as the policy reads it."""
    return _text(header, 'command', position, words, _WHITE)


def state_text(header: Header, position: Iterable[float], state: str, words: str) -> Marker:
    """Write what the robot does, in a colour that tells whether that is well."""
    return _text(header, 'state', position, words, _STATE_COLOURS.get(state, _WHITE))


def _text(
    header: Header, namespace: str, position: Iterable[float], words: str, colour: ColorRGBA
) -> Marker:
    marker = _marker(header, namespace, Marker.TEXT_VIEW_FACING, (0.0, 0.0, TEXT_HEIGHT_M))
    marker.pose = pose_message(Pose.of(tuple(position)))
    marker.color = colour
    marker.text = words
    return marker


def _marker(
    header: Header, namespace: str, kind: int, scale: tuple[float, float, float]
) -> Marker:
    marker = Marker(header=header, ns=namespace, id=0, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    marker.scale.x, marker.scale.y, marker.scale.z = scale
    marker.lifetime = Duration(sec=LIFETIME_S)
    return marker


def _points(positions: ArrayLike) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in np.asarray(positions, dtype=float).tolist()]
