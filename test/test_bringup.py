"""The node graph as data."""

from dataclasses import replace
import json
from pathlib import Path
import re

import pytest

from vla_ros.bringup import COMPOSED, environment, exposure, GRAPHS, NodeSpec, Options, options_of
from vla_ros.errors import ConfigurationError
from vla_ros.paths import shipped_policy_path


def spec_of(specs, name: str) -> NodeSpec:
    return next(spec for spec in specs if spec.name == name)


def file_names(spec: NodeSpec) -> list[str]:
    return [path.name for path in spec.parameter_files]


def test_the_robot_graph_is_the_pipeline_in_its_order():
    names = [spec.name for spec in GRAPHS['robot'](Options())]
    assert names == ['camera', 'command', 'inference', 'pose', 'marker']


def test_the_sim_graph_is_the_pipeline_behind_the_sim():
    names = [spec.name for spec in GRAPHS['sim'](Options())]
    assert names == ['sim', 'camera', 'command', 'inference', 'pose', 'marker']


def test_without_markers_there_is_no_marker_node():
    assert 'marker' not in [spec.name for spec in GRAPHS['sim'](Options(markers=False))]


def test_a_robot_that_is_served_elsewhere_has_no_inference_node():
    names = [spec.name for spec in GRAPHS['robot'](Options(inference=False))]
    assert names == ['camera', 'command', 'pose', 'marker']


def test_one_process_for_all_is_not_without_its_policy():
    with pytest.raises(ConfigurationError, match='choose composed, or no inference'):
        Options(composed=True, inference=False)


def test_composed_is_one_process_in_the_place_of_four():
    names = [spec.name for spec in GRAPHS['sim'](Options(composed=True))]
    assert names == ['sim', 'composed', 'marker']


def test_each_node_of_the_one_process_gets_its_own_parameters():
    path = str(shipped_policy_path())
    options = Options(composed=True, policy_path=path, use_sim_time=True)
    apart = GRAPHS['robot'](replace(options, composed=False))
    spec = spec_of(GRAPHS['robot'](options), 'composed')
    flag, parameters = spec.arguments
    assert flag == '--parameters'
    assert json.loads(parameters) == {name: spec_of(apart, name).parameters for name in COMPOSED}
    assert spec.parameters == {}


def test_only_the_sim_graph_knows_a_workspace():
    assert file_names(spec_of(GRAPHS['robot'](Options()), 'pose')) == []
    assert file_names(spec_of(GRAPHS['sim'](Options()), 'pose')) == ['sim.yaml']


@pytest.mark.parametrize('namespace', ['arm', '/arm', 'arm/'])
def test_a_namespace_holds_for_every_node(namespace: str):
    specs = GRAPHS['sim'](Options(namespace=namespace))
    assert {spec.namespace for spec in specs} == {'/arm'}


def test_without_a_namespace_nodes_are_in_the_root():
    arguments = GRAPHS['sim'](Options())[0].ros_arguments()
    assert '__ns:=/' in arguments


@pytest.mark.parametrize('namespace', ['1arm', 'a b', 'a//b', 'gré', '~', '/arm//', '//arm'])
def test_a_namespace_that_ros_would_refuse_is_refused(namespace: str):
    with pytest.raises(ConfigurationError, match='namespace is'):
        Options(namespace=namespace)


def test_the_users_parameter_file_comes_last(tmp_path: Path):
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**/pose:\n  ros__parameters:\n    rate_hz: 100.0\n')
    specs = GRAPHS['sim'](Options(params_file=str(mine)))
    assert all(spec.parameter_files[-1] == mine for spec in specs)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a: [', 'expected'),
        ('pose: 3', 'needs ros__parameters'),
        ('', 'needs ros__parameters'),
        ('/**/pose:\n  rate_hz: 100.0\n', 'needs ros__parameters'),
    ],
)
def test_a_broken_parameter_file_is_named(tmp_path: Path, text: str, reason: str):
    mine = tmp_path / 'mine.yaml'
    mine.write_text(text)
    with pytest.raises(ConfigurationError, match=f'(?s)mine.yaml.*{reason}'):
        GRAPHS['robot'](Options(params_file=str(mine)))


@pytest.mark.parametrize('section', ['/**/poze', 'Pose', '/arm/pose_node', '/**/pose/'])
def test_a_section_for_no_node_is_named(tmp_path: Path, section: str):
    mine = tmp_path / 'mine.yaml'
    mine.write_text(f'{section}:\n  ros__parameters:\n    rate_hz: 100.0\n')
    with pytest.raises(
        ConfigurationError, match=re.escape(f'{section!r} names none of the nodes')
    ):
        GRAPHS['robot'](Options(params_file=str(mine)))


@pytest.mark.parametrize('section', ['/**', 'pose', '/arm/pose', '/*/camera', '/**/sim'])
def test_a_section_for_a_node_passes(tmp_path: Path, section: str):
    mine = tmp_path / 'mine.yaml'
    mine.write_text(f'{section}:\n  ros__parameters: {{}}\n')
    assert GRAPHS['robot'](Options(params_file=str(mine)))[0].parameter_files[-1] == mine


def test_a_list_of_whole_and_decimal_numbers_is_named_with_the_fix(tmp_path: Path):
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**/pose:\n  ros__parameters:\n    workspace_max: [1, 0.25, 0.40]\n')
    with pytest.raises(ConfigurationError, match=r'workspace_max is .*; write \[1.0, 0.25, 0.4\]'):
        GRAPHS['robot'](Options(params_file=str(mine)))


@pytest.mark.parametrize(
    'parameters', ['{robots: [a, b]}', '{rate_hz: 50}', '{a: [1, 2]}', '', '3']
)
def test_other_parameters_are_for_their_node_to_judge(tmp_path: Path, parameters: str):
    mine = tmp_path / 'mine.yaml'
    mine.write_text(f'/**/pose:\n  ros__parameters: {parameters}\n')
    assert GRAPHS['robot'](Options(params_file=str(mine)))[0].parameter_files[-1] == mine


def test_a_missing_parameter_file_is_named():
    with pytest.raises(ConfigurationError, match='/nowhere.yaml: No such file'):
        GRAPHS['robot'](Options(params_file='/nowhere.yaml'))


def test_a_policy_without_a_manifest_is_refused_before_anything_starts():
    with pytest.raises(ConfigurationError, match='/nowhere.json: there is no such file'):
        GRAPHS['sim'](Options(policy_path='/nowhere.pt'))


def test_both_who_need_the_policy_get_it():
    path = str(shipped_policy_path())
    specs = GRAPHS['robot'](Options(policy_path=path))
    assert [s.name for s in specs if s.parameters.get('policy_path') == path] == [
        'command',
        'inference',
    ]


def test_real_time_needs_no_clock():
    specs = GRAPHS['sim'](Options())
    assert not any('use_sim_time' in spec.parameters for spec in specs)
    assert 'publish_clock' not in specs[0].parameters


def test_another_speed_makes_the_sim_publish_the_clock_and_the_others_follow_it():
    sim, *others = GRAPHS['sim'](Options(real_time_factor=2.0))
    assert sim.parameters == {'real_time_factor': 2.0, 'publish_clock': True}
    assert all(spec.parameters['use_sim_time'] is True for spec in others)


@pytest.mark.parametrize('chosen', ['arm', ''], ids=['chosen', 'perhaps pushed'])
def test_the_simulation_in_a_namespace_has_a_clock_of_its_own(chosen: str):
    specs = GRAPHS['sim'](Options(real_time_factor=2.0, namespace=chosen))
    assert all(spec.remaps == (('/clock', 'clock'),) for spec in specs)


@pytest.mark.parametrize('graph', ['robot', 'rviz'])
def test_another_simulators_clock_is_the_one_for_all_also_in_a_namespace(graph: str):
    specs = GRAPHS[graph](Options(use_sim_time=True, namespace='arm'))
    assert all(spec.parameters['use_sim_time'] is True for spec in specs)
    assert not any(spec.remaps for spec in specs)


def test_a_remap_reaches_every_node():
    remap = 'robot_action:=/arm/target camera/image_raw:=eye/image'
    rules = (('robot_action', '/arm/target'), ('camera/image_raw', 'eye/image'))
    for graph in GRAPHS:
        assert all(spec.remaps == rules for spec in GRAPHS[graph](Options(remap=remap)))
    for composed in (False, True):
        specs = GRAPHS['robot'](Options(remap=remap, composed=composed))
        assert all('robot_action:=/arm/target' in spec.ros_arguments() for spec in specs)


def test_the_users_name_of_the_clock_comes_before_that_of_the_simulation():
    sim = GRAPHS['sim'](Options(real_time_factor=2.0, remap='/clock:=/time'))[0]
    assert sim.remaps == (('/clock', '/time'), ('/clock', 'clock'))  # the first one counts


@pytest.mark.parametrize(
    'remap', ['robot_action', 'a:=', ':=b', 'a:=b:=c', 'a=b', 'a:=~/b', 'é:=b', 'a:=b a:=c']
)
def test_a_remap_that_ros_would_refuse_or_ignore_is_refused(remap: str):
    with pytest.raises(ConfigurationError, match='remap (is|gives)'):
        Options(remap=remap)


def test_a_seed_in_a_parameter_file_holds_unless_one_is_chosen():
    assert 'seed' not in GRAPHS['sim'](Options())[0].parameters
    assert GRAPHS['sim'](Options(seed=7))[0].parameters['seed'] == 7


def test_arguments_are_what_ros_reads():
    spec = NodeSpec(
        'pose',
        'pose_node',
        namespace='/arm',
        parameters={'rate_hz': 50.0, 'name': 'a "b"', 'on': True},
        parameter_files=(Path('/x.yaml'),),
        remaps=(('robot_pose', 'tcp'),),
        log_level='warn',
    )
    assert spec.ros_arguments() == [
        '--parameters',
        json.dumps({'rate_hz': 50.0, 'name': 'a "b"', 'on': True}),
        '--ros-args',
        *('--log-level', 'warn', '--enclave', '/vla_ros/pose'),
        *('-r', '__node:=pose', '-r', '__ns:=/arm', '-r', 'robot_pose:=tcp'),
        *('--params-file', '/x.yaml'),
    ]


def test_a_node_of_this_package_is_a_module():
    assert GRAPHS['sim'](Options())[0].module == 'vla_ros.nodes.sim_node'


def test_rviz_shows_the_displays_of_this_package():
    (rviz,) = GRAPHS['rviz'](Options())
    assert rviz.package == 'rviz2'
    assert rviz.arguments[0] == '-d'
    assert Path(rviz.arguments[1]).is_file()


def test_one_base_frame_reaches_all_who_have_one():
    options = Options(base_frame='fr3_link0')
    specs = GRAPHS['robot'](options)
    told = {spec.name: spec.parameters.get('base_frame') for spec in specs}
    assert {name for name, frame in told.items() if frame} == {'pose', 'marker'}
    assert set(told.values()) == {'fr3_link0', None}
    (rviz,) = GRAPHS['rviz'](options)
    assert rviz.arguments[2:] == ('-f', 'fr3_link0')


def test_without_a_base_frame_the_parameter_files_say_it():
    assert not any('base_frame' in spec.parameters for spec in GRAPHS['robot'](Options()))
    assert '-f' not in GRAPHS['rviz'](Options())[0].arguments
    assert 'base_frame' not in options_of('sim')  # the simulated robot has its own


def test_a_policy_for_another_frame_than_the_chosen_one_is_refused():
    path = str(shipped_policy_path())
    assert GRAPHS['robot'](Options(policy_path=path, base_frame='base_link'))
    with pytest.raises(ConfigurationError, match="'fr3_link0', and .* gives poses in 'base_link'"):
        GRAPHS['robot'](Options(policy_path=path, base_frame='fr3_link0'))


def test_options_are_read_from_text():
    options = Options.parse({'seed': '3', 'markers': 'False', 'real_time_factor': '2'})
    assert (options.seed, options.markers, options.real_time_factor) == (3, False, 2.0)


@pytest.mark.parametrize(
    ('name', 'text', 'valid'),
    [
        ('markers', 'maybe', 'true, false'),
        ('seed', '1.5', 'a whole number'),
        ('seed', '-1', '0 to'),
        ('real_time_factor', 'fast', 'a number'),
        ('real_time_factor', 'nan', '0.5 to 2'),
        ('log_level', 'loud', 'debug, info, warn, error'),
    ],
)
def test_a_wrong_option_says_what_is_valid(name: str, text: str, valid: str):
    with pytest.raises(ConfigurationError, match=f'{name} is .*{valid}'):
        Options.parse({name: text})


def test_every_option_is_described_and_belongs_to_a_graph():
    for graph in GRAPHS:
        assert all(option.metadata['doc'] for option in options_of(graph).values())
    assert 'seed' in options_of('sim')
    assert 'seed' not in options_of('robot')


def test_a_larger_shared_memory_is_chosen_for_both_lines_of_fast_dds():
    chosen = environment('robot', {})
    assert Path(chosen['FASTRTPS_DEFAULT_PROFILES_FILE']).is_file()
    assert chosen['FASTDDS_DEFAULT_PROFILES_FILE'] == chosen['FASTRTPS_DEFAULT_PROFILES_FILE']


@pytest.mark.parametrize('own', ['FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_BUILTIN_TRANSPORTS'])
def test_the_users_own_transport_stays(own: str):
    assert not any(name.startswith('FAST') for name in environment('sim', {own: 'x'}))


def test_a_simulated_robot_stays_on_this_machine_unless_the_user_says_otherwise():
    assert environment('sim', {})['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    for name in ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS'):
        assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in environment('sim', {name: 'x'})


def test_on_humble_it_is_told_that_the_simulation_does_not_stay_on_this_machine():
    humble = {'ROS_DISTRO': 'humble'}
    assert 'ROS_LOCALHOST_ONLY=1 in every terminal' in exposure('sim', humble)
    assert exposure('sim', {**humble, 'ROS_LOCALHOST_ONLY': '0'}) == ''
    assert exposure('sim', {'ROS_DISTRO': 'jazzy'}) == exposure('sim', {}) == ''
    assert exposure('robot', humble) == ''


def test_a_robot_may_be_on_another_machine():
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in environment('robot', {})


def test_threads_of_the_user_stay():
    assert environment('sim', {})['OMP_NUM_THREADS'] == '1'
    assert 'OMP_NUM_THREADS' not in environment('sim', {'OMP_NUM_THREADS': '8'})
