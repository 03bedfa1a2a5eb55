"""
The node graph as data: who runs, with which parameters and remaps, in which environment.

``vla-ros up`` and the launch files both start what the functions here return, so they cannot
differ. Imports neither rclpy nor launch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
import json
from pathlib import Path
from typing import Any

from vla_ros import paths
from vla_ros.errors import ConfigurationError
from vla_ros.names import is_name, remap_rules
from vla_ros.params_file import check_params_file
from vla_ros.pipeline.manifest import read_manifest

Value = bool | int | float | str

#: The pipeline, in the order of the data.
PIPELINE = ('camera', 'command', 'inference', 'pose', 'marker')
#: Those that may share a process: what looks on stays out of the way of what drives.
COMPOSED = ('camera', 'command', 'inference', 'pose')

# Two simulations in their namespaces, also where a launch file pushes those, have a time each; any
# other simulator has one for all. Without a namespace this changes nothing.
_OWN_CLOCK = (('/clock', 'clock'),)


def option(default: Value, doc: str, **limits: Any) -> Any:
    """
    Describe one option.

    ``limits``: ``choices``, ``ge``, ``le``, ``graphs`` (else: all); ``repeated``: words, each of
    which is given by a flag of its own.
    """
    return field(default=default, metadata={'doc': doc, **limits})


@dataclass(frozen=True)
class Options:
    """
    What a user may choose when starting a graph: flags of ``vla-ros up``, launch arguments.

    Raises ConfigurationError for a value that cannot be.
    """

    namespace: str = option('', 'namespace of every node and topic; empty: none')
    remap: str = option(
        '',
        'OLD:=NEW: a topic of docs/nodes.md that has another name here; of several: with spaces '
        'between',
        repeated=True,
    )
    params_file: str = option('', 'YAML with parameters of your own, as in config/vla.yaml')
    policy_path: str = option(
        '',
        'policy file with its manifest (.json) beside it; empty: the shipped policy',
        graphs=('robot', 'sim'),
    )
    base_frame: str = option(
        '',
        'frame of every pose, for all nodes and RViz; empty: what the parameter file says, or '
        'base_link, as RViz then shows',
        graphs=('robot', 'rviz'),
    )
    markers: bool = option(True, 'run the marker node', graphs=('robot', 'sim'))
    inference: bool = option(
        True,
        'run the inference node; without, one elsewhere serves this robot (its parameter robots)',
        graphs=('robot', 'sim'),
    )
    composed: bool = option(
        False,
        'one process for all between camera and robot: less delay, no isolation',
        graphs=('robot', 'sim'),
    )
    use_sim_time: bool = option(False, 'take the time from /clock')
    seed: int = option(0, 'seed of the first scene', ge=0, le=2**31 - 1, graphs=('sim',))
    real_time_factor: float = option(
        1.0, 'speed against real time; other than 1 uses /clock', ge=0.5, le=2.0, graphs=('sim',)
    )
    log_level: str = option(
        'info', 'least severe messages shown', choices=('debug', 'info', 'warn', 'error')
    )

    def __post_init__(self) -> None:
        name = self.namespace.removesuffix('/')
        if name and not is_name(name):
            raise ConfigurationError(
                f'namespace is {self.namespace!r}; valid: names of ASCII letters, digits and _ '
                'that start with no digit, joined by /, as in "arm" or "/lab/arm"'
            )
        remap_rules(self.remap.split())
        for f in fields(self):
            _check_limits(f.name, getattr(self, f.name), f.metadata)
        if self.composed and not self.inference:
            raise ConfigurationError(
                'composed is one process with the inference node in it: choose composed, or no '
                'inference'
            )

    @property
    def remaps(self) -> tuple[tuple[str, str], ...]:
        """Return old and new name of each topic of ``remap``."""
        return remap_rules(self.remap.split())

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Options:
        """Return the options given as text; raises ConfigurationError for what cannot be read."""
        defaults = {f.name: f.default for f in fields(cls)}
        return cls(**{name: _parse(name, text, defaults[name]) for name, text in texts.items()})


def options_of(graph: str) -> dict[str, Any]:
    """Return name: field of the options that a graph (robot, sim, rviz) has."""
    return {f.name: f for f in fields(Options) if graph in f.metadata.get('graphs', (graph,))}


def _parse(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text.lower() not in ('true', 'false'):
            raise ConfigurationError(f'{name} is {text!r}; valid: true, false')
        return text.lower() == 'true'
    try:
        return type(default)(text)
    except ValueError as error:
        kind = {int: 'a whole number', float: 'a number'}[type(default)]
        raise ConfigurationError(f'{name} is {text!r}; valid: {kind}') from error


def _check_limits(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    if 'choices' in limits and value not in limits['choices']:
        raise ConfigurationError(f'{name} is {value!r}; valid: {", ".join(limits["choices"])}')
    if 'ge' in limits and not limits['ge'] <= value <= limits['le']:
        raise ConfigurationError(f'{name} is {value}; valid: {limits["ge"]} to {limits["le"]}')


@dataclass(frozen=True)
class NodeSpec:
    """
    One node to start; a later parameter file wins over an earlier, ``parameters`` over all.

    For an executable of another package, ``parameters`` are for launch alone.
    """

    name: str
    executable: str
    package: str = 'vla_ros'
    namespace: str = ''
    parameters: Mapping[str, Value] = field(default_factory=dict)
    parameter_files: tuple[Path, ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    log_level: str = 'info'
    respawn: bool = True

    @property
    def module(self) -> str:
        """Return the Python module of a node of this package."""
        return f'vla_ros.nodes.{self.executable}'

    @property
    def enclave(self) -> str:
        """Return the node's own in the SROS2 policy; without security it means nothing."""
        return f'/vla_ros/{self.name}'

    def ros_arguments(self) -> list[str]:
        """Return the command line after the executable, as ROS 2 reads it."""
        remaps = [('__node', self.name), ('__ns', self.namespace or '/'), *self.remaps]
        return [
            *self.arguments,
            # Not as -p, over which a file may win: see vla_ros.nodes.overrides.
            *(['--parameters', json.dumps(dict(self.parameters))] if self.parameters else []),
            '--ros-args',
            *('--log-level', self.log_level, '--enclave', self.enclave),
            *_flags('-r', (f'{old}:={new}' for old, new in remaps)),
            *_flags('--params-file', map(str, self.parameter_files)),
        ]


def robot_graph(options: Options) -> tuple[NodeSpec, ...]:
    """Return the pipeline for a robot that has a camera and follows poses."""
    return _pipeline(options, (), options.use_sim_time)


def sim_graph(options: Options) -> tuple[NodeSpec, ...]:
    """Return the pipeline with the simulated camera and robot."""
    files = (_config('sim.yaml'),)
    clock = options.use_sim_time or options.real_time_factor != 1.0
    chosen = {
        name: getattr(options, name)
        for name in ('seed', 'real_time_factor')
        if getattr(options, name) != getattr(Options, name)
    }
    if clock:
        chosen['publish_clock'] = True
    specs = (_node('sim', options, files, chosen), *_pipeline(options, files, clock))
    if not clock:
        return specs
    return tuple(replace(spec, remaps=(*spec.remaps, *_OWN_CLOCK)) for spec in specs)


def rviz_graph(options: Options) -> tuple[NodeSpec, ...]:
    """Return RViz with the displays of this package."""
    fixed_frame = ('-f', options.base_frame) if options.base_frame else ()
    return (
        NodeSpec(
            'rviz',
            'rviz2',
            package='rviz2',
            namespace=_absolute(options.namespace),
            parameters={'use_sim_time': True} if options.use_sim_time else {},
            parameter_files=_user_files(options),
            remaps=options.remaps,
            arguments=('-d', str(_config('vla.rviz')), *fixed_frame),
            log_level=options.log_level,
            respawn=False,
        ),
    )


GRAPHS: dict[str, Callable[[Options], tuple[NodeSpec, ...]]] = {
    'robot': robot_graph,
    'sim': sim_graph,
    'rviz': rviz_graph,
}


def environment(graph: str, existing: Mapping[str, str]) -> dict[str, str]:
    """
    Return the variables to set for the nodes, beside ``existing``, of which none is changed.

    Images larger than 0.5 MB need larger shared memory than Fast DDS takes by default; torch's
    waiting threads would otherwise burn the cores that the others need; a simulated robot has no
    business on the network (on Humble it is there all the same, see ``exposure``).
    """
    wanted = {
        'OMP_NUM_THREADS': '1',
        'OMP_WAIT_POLICY': 'PASSIVE',
        'TOKENIZERS_PARALLELISM': 'false',
    }
    transports = (
        'FASTRTPS_DEFAULT_PROFILES_FILE',
        'FASTDDS_DEFAULT_PROFILES_FILE',
        'FASTDDS_BUILTIN_TRANSPORTS',
        # On Humble its own transport would stand beside the profile's, which is not local.
        'ROS_LOCALHOST_ONLY',
    )
    if not any(name in existing for name in transports):
        # The first name is that of Fast DDS 2 (Humble, Jazzy), the second of 3 (Kilted).
        wanted.update(dict.fromkeys(transports[:2], str(_config('fastdds.xml'))))
    discovery = (
        'ROS_AUTOMATIC_DISCOVERY_RANGE',
        'ROS_DISCOVERY_SERVER',
        'ROS_LOCALHOST_ONLY',
        'ROS_STATIC_PEERS',
    )
    if graph == 'sim' and not any(name in existing for name in discovery):
        wanted['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return {name: value for name, value in wanted.items() if name not in existing}


def exposure(graph: str, existing: Mapping[str, str]) -> str:
    """Return what to tell of a simulation that ``environment`` cannot keep here, '' if it can."""
    is_old = existing.get('ROS_DISTRO') == 'humble'  # knows no ROS_AUTOMATIC_DISCOVERY_RANGE
    if graph != 'sim' or not is_old or 'ROS_LOCALHOST_ONLY' in existing:
        return ''
    return (
        'on Humble the network sees and commands this simulation: to keep it on this machine, '
        'set ROS_LOCALHOST_ONLY=1 in every terminal'
    )


def _pipeline(options: Options, files: Sequence[Path], clock: bool) -> tuple[NodeSpec, ...]:
    _check_frame(options)
    policy = _policy(options)
    frame: dict[str, Value] = {'base_frame': options.base_frame} if options.base_frame else {}
    special = {
        'camera': _image_size(options.policy_path),
        'command': policy,
        'inference': policy,
        'pose': frame,
        'marker': frame,
    }
    time: dict[str, Value] = {'use_sim_time': True} if clock else {}
    wanted = {'marker': options.markers, 'inference': options.inference}
    specs = tuple(
        _node(name, options, files, {**special.get(name, {}), **time})
        for name in PIPELINE
        if wanted.get(name, True)
    )
    return _composed(specs) if options.composed else specs


def _composed(specs: Sequence[NodeSpec]) -> tuple[NodeSpec, ...]:
    """Return the same with one process for the nodes of ``COMPOSED``."""
    parts = [spec for spec in specs if spec.name in COMPOSED]
    parameters = json.dumps({spec.name: dict(spec.parameters) for spec in parts})
    together = replace(
        parts[0],
        name='composed',
        executable='composed_node',
        parameters={},  # of no node: each gets its own
        arguments=('--parameters', parameters),
    )
    return (together, *(spec for spec in specs if spec not in parts))


def _node(
    name: str,
    options: Options,
    files: Sequence[Path],
    parameters: Mapping[str, Value],
) -> NodeSpec:
    return NodeSpec(
        name,
        f'{name}_node',
        namespace=_absolute(options.namespace),
        parameters=parameters,
        parameter_files=(*files, *_user_files(options)),
        remaps=options.remaps,
        log_level=options.log_level,
    )


def _policy(options: Options) -> dict[str, Value]:
    return {'policy_path': str(_expanded(options.policy_path))} if options.policy_path else {}


def _check_frame(options: Options) -> None:
    """Refuse a chosen policy whose poses are in another frame than the one that is chosen."""
    if not (options.policy_path and options.base_frame):
        return  # the pose node holds and says so
    frame = read_manifest(_expanded(options.policy_path)).frame_id
    if frame != options.base_frame:
        raise ConfigurationError(
            f'base_frame is {options.base_frame!r}, and {options.policy_path} gives poses in '
            f'{frame!r}: none is transformed; choose its frame, or if both are names of one '
            'frame, write that as frame_id into the manifest of the policy'
        )


def _image_size(policy_path: str) -> dict[str, Value]:
    """Return the camera node's parameters that follow from the policy's manifest."""
    if not policy_path:
        return {}  # the defaults are those of the shipped policy; a parameter file may say more
    manifest = read_manifest(_expanded(policy_path))
    return {'image_width': manifest.image_width, 'image_height': manifest.image_height}


def _user_files(options: Options) -> tuple[Path, ...]:
    """Return the user's parameter file, if any; raises ConfigurationError if it is none."""
    if not options.params_file:
        return ()
    path = _expanded(options.params_file)
    check_params_file(path, ('sim', *PIPELINE, 'rviz'))
    return (path,)


def _absolute(namespace: str) -> str:
    name = namespace.strip('/')
    return f'/{name}' if name else ''


def _expanded(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _config(name: str) -> Path:
    return paths.share_dir() / 'config' / name


def _flags(flag: str, values: Iterable[str]) -> Iterable[str]:
    for value in values:
        yield from (flag, value)
