"""
Every parameter of every node: name, default, meaning and limits, each written once.

A node's parameters are the fields of one frozen dataclass; ``declare`` turns them into ROS
parameters with descriptors and ranges, checks them, and returns the dataclass. YAML files only
override. ``docs/nodes.md`` is generated from this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from difflib import get_close_matches
import math
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_ros.errors import ConfigurationError
from vla_ros.pipeline.chunk import BLEND_MODES, INTERPOLATIONS, Playback
from vla_ros.pipeline.command import MAX_BYTES
from vla_ros.pipeline.motion import Limits
from vla_ros.pipeline.session import Rules
from vla_ros.pipeline.words import ALL

P = TypeVar('P')


def param(default: Any, doc: str, **limits: Any) -> Any:
    """
    Describe one parameter.

    ``limits``: ``ge``, ``le``, ``one_of``; for the run time ``tunable`` or ``lowerable``. A text
    that may be a number is ``untyped``: the shell and YAML make numbers of what looks like one.
    """
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata={'doc': doc, **limits})
    return field(default=default, metadata={'doc': doc, **limits})


def _unset() -> tuple[float, ...]:
    """Mark a list of floats as not set: rclpy cannot type an empty list, NaN can be typed."""
    return (math.nan,)


@dataclass(frozen=True)
class CameraParams:
    image_width: int = param(
        96, 'width of vla/image; the policy manifest says which', ge=8, le=4096
    )
    image_height: int = param(96, 'height of vla/image', ge=8, le=4096)
    image_transport: str = param(
        'raw',
        'raw, or compressed for camera/image_raw/compressed (JPEG, PNG)',
        one_of=('raw', 'compressed'),
    )
    max_image_bytes: int = param(
        64_000_000, 'larger raw frames are rejected from their header', ge=1024, le=1_000_000_000
    )


@dataclass(frozen=True)
class CommandParams:
    max_bytes: int = param(
        MAX_BYTES, 'longer commands (UTF-8, normalised) are rejected', ge=16, le=MAX_BYTES
    )
    policy_path: str = param(
        '',
        'policy that gets the commands; one for another text encoder is refused; empty: shipped',
    )
    cache_dir: str = param('', 'where the exported text encoder is kept; empty: the user cache')
    num_threads: int = param(1, 'CPU threads of the text encoder', ge=1, le=64)


@dataclass(frozen=True)
class InferenceParams:
    policy_path: str = param(
        '',
        'policy file with its manifest (.json) beside it; empty: the shipped policy; a change is '
        'taken at the next configure',
        tunable=True,
    )
    num_threads: int = param(1, 'CPU threads of the policy', ge=1, le=64)
    device: str = param(
        'auto',
        'auto: TorchScript also on a GPU (CUDA), where that is faster; or cpu',
        one_of=('auto', 'cpu'),
    )
    robots: tuple[str, ...] = param(
        ('',),
        'namespaces, relative to this one, of the robots that share the policy; empty: itself',
    )
    max_batch: int = param(
        16, 'so many robots at most go through the policy in one pass', ge=1, le=64
    )
    state_timeout_s: float = param(
        0.5,
        'robot_pose or gripper_state older, or robot_pose stamped farther from the image: no '
        'inference',
        ge=0.02,
        le=5.0,
    )
    inference_timeout_s: float = param(
        10.0,
        'a policy that has not returned for so long hangs: its process ends, to be started anew',
        ge=0.5,
        le=600.0,
    )
    autostart: bool = param(True, 'configure and activate at start, without a lifecycle manager')


@dataclass(frozen=True)
class PoseParams:
    workspace_min: tuple[float, ...] = param(
        _unset(), 'required: lower corner x, y, z of the allowed box, m, in the base frame'
    )
    workspace_max: tuple[float, ...] = param(
        _unset(), 'required: upper corner x, y, z of the allowed box, m, in the base frame'
    )
    base_frame: str = param(
        Limits.base_frame, 'frame of every pose; chunks in another are rejected'
    )
    rate_hz: float = param(Limits.rate_hz, 'rate of robot_action', ge=10.0, le=500.0)
    max_speed_m_s: float = param(
        Limits.max_speed_m_s, 'linear speed limit', ge=0.001, le=3.0, lowerable=True
    )
    max_angular_speed_rad_s: float = param(
        Limits.max_angular_speed_rad_s, 'angular speed limit', ge=0.001, le=6.3, lowerable=True
    )
    max_acceleration_m_s2: float = param(
        Limits.max_acceleration_m_s2, 'linear acceleration limit', ge=0.01, le=20.0, lowerable=True
    )
    max_angular_acceleration_rad_s2: float = param(
        Limits.max_angular_acceleration_rad_s2,
        'angular acceleration limit',
        ge=0.01,
        le=40.0,
        lowerable=True,
    )
    action_timeout_s: float = param(
        Limits.action_timeout_s,
        'no new chunk for so long: hold',
        ge=0.02,
        le=5.0,
        lowerable=True,
    )
    camera_timeout_s: float = param(
        Limits.camera_timeout_s,
        'a chunk from an older image: hold; longer than a camera period and an inference',
        ge=0.02,
        le=5.0,
        lowerable=True,
    )
    pose_timeout_s: float = param(
        Limits.pose_timeout_s,
        'no measured pose that came, and was stamped, within so long: hold',
        ge=0.02,
        le=5.0,
        lowerable=True,
    )
    max_tracking_error_m: float = param(
        Limits.max_tracking_error_m,
        'a task whose robot is farther than this from where it was sent ends in a hold',
        ge=0.005,
        le=1.0,
        lowerable=True,
    )
    max_tracking_error_rad: float = param(
        Limits.max_tracking_error_rad,
        'the same for its orientation',
        ge=0.01,
        le=3.2,
        lowerable=True,
    )
    max_jump_m: float = param(
        Limits.max_jump_m,
        'a target farther than this from the last pose is refused',
        ge=0.005,
        le=2.0,
        lowerable=True,
    )
    max_path_m: float = param(
        Limits.max_path_m,
        'a task that has moved the robot so far ends in a hold',
        ge=0.01,
        le=1000.0,
        lowerable=True,
    )
    max_task_s: float = param(
        Limits.max_task_s,
        'a task that has moved the robot for so long ends in a hold',
        ge=0.1,
        le=86400.0,
        lowerable=True,
    )
    blend_mode: str = param(
        Playback.blend_mode,
        'newest chunk alone, a crossfade to it, or the mean of all that still play',
        one_of=BLEND_MODES,
    )
    crossfade_s: float = param(
        Playback.crossfade_s, 'duration of the crossfade of linear', ge=0.0, le=5.0
    )
    ensemble_decay: float = param(
        Playback.ensemble_decay,
        'in temporal_ensemble, each newer chunk weighs exp(-this) times the one before',
        ge=0.0,
        le=10.0,
    )
    interpolation: str = param(
        Playback.interpolation,
        'of positions between the rows of a chunk; cubic cuts the corners',
        one_of=INTERPOLATIONS,
    )
    termination_threshold: float = param(
        Rules.termination_threshold,
        'a chunk whose first step is above says: done',
        ge=0.0,
        le=1.0,
    )
    termination_count: int = param(
        Rules.termination_count, 'so many in a row end the task', ge=1, le=100
    )
    refusal_count: int = param(
        Rules.refusal_count,
        'so many chunks that refuse the command, before one that does not, end the task',
        ge=1,
        le=100,
    )
    confirm_before_motion: bool = param(
        Rules.confirm_before_motion, 'every new command waits for ~/enable'
    )
    enable_ramp_s: float = param(
        Rules.enable_ramp_s,
        'after ~/enable, speed rises to its limit in this time',
        ge=0.1,
        le=10.0,
    )
    button_timeout_s: float = param(
        Rules.button_timeout_s,
        'an e-stop button that was heard and then falls silent for so long counts as pressed',
        ge=0.05,
        le=10.0,
    )


@dataclass(frozen=True)
class MarkerParams:
    base_frame: str = param(Limits.base_frame, 'frame of the table and of camera_pose')
    plane_height_m: float = param(
        0.02,
        'where no depth is measured, attention is drawn on this plane of base_frame: half as '
        'high as the things on the table',
        ge=-10.0,
        le=10.0,
    )
    source: str = param(
        'attention',
        "what is drawn: the policy's own attention, or the gradient of its action (saliency)",
        one_of=('attention', 'saliency'),
    )
    word: str = param(
        ALL,
        'whose attention is drawn: all (words together), peak (the word that has most), or the '
        'number of a word, from 0',
        tunable=True,
        untyped=True,
    )
    camera_pose: tuple[float, ...] = param(
        _unset(),
        'x, y, z, qx, qy, qz, qw of the optical frame in the base frame; NaN: from camera/pose',
    )
    rate_hz: float = param(10.0, 'at most so many messages a second', ge=0.1, le=60.0)


@dataclass(frozen=True)
class SimParams:
    seed: int = param(0, 'seed of the first scene; reset counts on from it', ge=0, le=2**31 - 1)
    scene: str = param(
        '',
        'scene of the start and of every reset, as JSON (vla_ros/sim/scene_json.py); empty: that '
        'of the seed',
        tunable=True,
    )
    image_width: int = param(192, 'width of camera/image_raw', ge=32, le=1920)
    image_height: int = param(192, 'height of camera/image_raw', ge=32, le=1080)
    camera_rate_hz: float = param(
        10.0, 'rate of camera/image_raw in simulated time', ge=1.0, le=50.0
    )
    real_time_factor: float = param(
        1.0,
        'speed against real time; other than 1 needs publish_clock, and use_sim_time elsewhere',
        ge=0.5,
        le=2.0,
    )
    publish_clock: bool = param(False, 'publish simulated time on /clock')
    renderer: str = param('rays', 'camera renderer', one_of=('rays', 'egl', 'osmesa'))


#: Executable of each node and its parameters, in pipeline order.
NODE_PARAMS: dict[str, type] = {
    'camera': CameraParams,
    'command': CommandParams,
    'inference': InferenceParams,
    'pose': PoseParams,
    'marker': MarkerParams,
    'sim': SimParams,
}


#: What rclpy itself, in one version or another, declares on a node.
_OF_ROS = {'use_sim_time', 'start_type_description_service', 'qos_overrides'}


def _descriptor(metadata: dict[str, Any], default: Any) -> ParameterDescriptor:
    changeable = metadata.get('tunable', False) or metadata.get('lowerable', False)
    descriptor = ParameterDescriptor(description=metadata['doc'], read_only=not changeable)
    descriptor.dynamic_typing = metadata.get('untyped', False)
    if 'one_of' in metadata:
        descriptor.additional_constraints = 'one of ' + ', '.join(metadata['one_of'])
    if 'ge' in metadata and isinstance(default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=metadata['ge'], to_value=metadata['le'], step=0.0)
        ]
    elif 'ge' in metadata:
        descriptor.integer_range = [
            IntegerRange(from_value=metadata['ge'], to_value=metadata['le'], step=1)
        ]
    return descriptor


def _check_names(node: Node, cls: type) -> None:
    """Refuse what no node has: ROS would ignore a misspelt name without a word."""
    # Those given to this node; all overrides that rclpy has for it stand nowhere public.
    given = {name.partition('.')[0] for name in node._parameter_overrides}
    mine = {f.name for f in fields(cls)}
    others = {f.name for other in NODE_PARAMS.values() for f in fields(other)}
    for name in sorted(given - mine - _OF_ROS):
        if name in others:  # a file may give it to all nodes, for those that have it
            node.get_logger().warning(f'parameter {name} is of another node: ignored')
            continue
        similar = get_close_matches(name, mine, n=1)
        advice = f'did you mean {similar[0]}?' if similar else f'valid: {", ".join(sorted(mine))}'
        raise ConfigurationError(f'{node.get_name()}: there is no parameter {name}; {advice}')


def _as_decimal(given: Parameter | None, default: Any) -> str:
    """Return what to write for whole numbers where decimal ones are meant, else nothing."""
    if given is None:
        return ''
    if given.type_ == Parameter.Type.INTEGER and isinstance(default, float):
        return f'; write {float(given.value)}'
    is_list = isinstance(default, tuple) and isinstance(default[0], float)
    if given.type_ == Parameter.Type.INTEGER_ARRAY and is_list:
        return f'; write {[float(number) for number in given.value]}'
    return ''


def declare(node: Node, cls: type[P]) -> P:
    """Declare the fields of ``cls`` on ``node``; raises ConfigurationError for a bad value."""
    _check_names(node, cls)
    defaults = cls()
    values: dict[str, Any] = {}
    for f in fields(cls):  # type: ignore[arg-type]
        default = getattr(defaults, f.name)
        try:
            value = node.declare_parameter(
                f.name,
                list(default) if isinstance(default, tuple) else default,
                _descriptor(dict(f.metadata), default),
            ).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            advice = _as_decimal(node._parameter_overrides.get(f.name), default)
            raise ConfigurationError(
                f'{node.get_name()}: parameter {f.name}: {error}{advice}'
            ) from error
        if 'one_of' in f.metadata and value not in f.metadata['one_of']:
            raise ConfigurationError(
                f'{node.get_name()}: parameter {f.name} is {value!r}; '
                f'valid: {", ".join(f.metadata["one_of"])}'
            )
        values[f.name] = type(default)(value)  # a tuple of a list, text of a number
    return cls(**values)
