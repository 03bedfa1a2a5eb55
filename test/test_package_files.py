"""package.xml, setup.py, config and launch files agree with the code and with each other."""

import ast
from dataclasses import fields
from pathlib import Path
import re
import runpy
import sys
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

import vla_ros
from vla_ros.bringup import GRAPHS, Options, PIPELINE
from vla_ros.sim.environment import WORKSPACE_MAX, WORKSPACE_MIN

ROOT = Path(__file__).resolve().parent.parent
NODES = {'sim', *PIPELINE}
CONFIGS = sorted((ROOT / 'config').glob('*.yaml'))


def parameters(path: Path) -> dict[str, dict]:
    """Return the sections of a parameter file, those that are commented out included."""
    text = path.read_text(encoding='utf-8')
    blocks = [block for block in text.split('\n\n') if block.startswith('# /**/')]
    return yaml.safe_load(re.sub('^# ', '', '\n\n'.join(blocks), flags=re.M) or text)


@pytest.fixture(scope='module')
def package() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


@pytest.fixture(scope='module')
def setup_arguments():
    """What setup.py gives to setuptools."""
    import setuptools

    captured: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, 'setup', captured.update)
        runpy.run_path('setup.py')
    return captured


def dependencies(package: ElementTree.Element) -> set[str]:
    return {element.text for element in package.iter('exec_depend')}


def test_package_xml_is_of_format_3_and_says_what_rosdep_needs(package: ElementTree.Element):
    assert package.get('format') == '3'
    assert package.findtext('name') == 'vla_ros'
    assert re.fullmatch(r'[^@\s]+@[^@\s]+\.[a-z]+', package.find('maintainer').get('email'))
    assert package.findtext('license') == 'Apache-2.0'
    assert package.findtext('export/build_type') == 'ament_python'


def test_the_version_is_the_same_everywhere(package: ElementTree.Element, setup_arguments):
    assert package.findtext('version') == vla_ros.__version__
    assert setup_arguments['version'] == vla_ros.__version__


def test_every_ros_package_that_is_imported_is_a_dependency(package: ElementTree.Element):
    imported = set()
    for path in (ROOT / 'vla_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition('.')[0])
    ros = {n for n in imported if n.endswith(('_msgs', '_srvs', '_interfaces'))}
    others = 'ament_index_python', 'rclpy', 'launch', 'launch_ros', 'cv_bridge', 'tf2_ros'
    ros |= imported & {*others}
    assert ros - dependencies(package) == set()


def test_rosdep_installs_what_launches_and_tests_it(package: ElementTree.Element):
    assert 'ros2launch' in dependencies(package)
    wanted = {'python3-hypothesis', 'python3-pytest', 'python3-pytest-timeout'}
    assert {element.text for element in package.iter('test_depend')} == wanted


@pytest.mark.parametrize('graph', GRAPHS)
def test_every_package_whose_nodes_are_started_is_a_dependency(
    package: ElementTree.Element, graph: str
):
    started = {spec.package for spec in GRAPHS[graph](Options())}
    assert started - dependencies(package) <= {'vla_ros'}


def test_pip_never_installs_ros_or_torch_unasked(setup_arguments):
    required = setup_arguments['install_requires']
    assert [r for r in required if re.match('ros-|rclpy|torch|.*msgs|opencv', r)] == []


def test_all_beside_ros_is_all_but_what_only_ros_asks_for(setup_arguments):
    extras = dict(setup_arguments['extras_require'])
    beside = set(extras.pop('all-beside-ros'))
    assert not any(requirement.startswith(('ros-', 'opencv')) for requirement in beside)
    assert beside | set(extras['ros']) == set(extras['all'])


def test_every_extra_is_pinned(setup_arguments):
    pins = {
        re.split('[=;]', line)[0].lower().replace('_', '-')
        for line in (ROOT / 'constraints.txt').read_text().splitlines()
        if '==' in line
    }
    wanted = {
        re.split(r'[\[<>=]', requirement)[0].lower()
        for extra in setup_arguments['extras_require'].values()
        for requirement in extra
    }
    assert wanted - pins == set()


def test_every_node_has_an_executable_and_a_module(setup_arguments):
    scripts = dict(
        re.split(' *= *', script) for script in setup_arguments['entry_points']['console_scripts']
    )
    assert set(scripts) == {'vla-ros', *(f'{node}_node' for node in (*NODES, 'composed'))}
    for target in scripts.values():
        module = ROOT / target.partition(':')[0].replace('.', '/')
        assert module.with_suffix('.py').is_file() or (module / '__init__.py').is_file()


def test_share_holds_all_config_and_launch_files_and_the_ament_marker(setup_arguments):
    installed = {file for _, files in setup_arguments['data_files'] for file in files}
    on_disk = {
        str(path.relative_to(ROOT))
        for folder in ('config', 'launch')
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }
    assert on_disk | {'package.xml', 'resource/vla_ros'} <= installed


def test_the_shipped_data_is_inside_the_package(setup_arguments):
    patterns = setup_arguments['package_data']['vla_ros']
    found = {p for pattern in patterns for p in (ROOT / 'vla_ros').glob(pattern) if p.is_file()}
    files = {p for p in (ROOT / 'vla_ros').rglob('*') if p.is_file()}
    shipped = {p for p in files if p.suffix not in ('.py', '.pyc')}
    assert found == shipped


def test_licence_is_apache():
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()[:200]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.name)
def test_config_names_nodes_in_any_namespace(path: Path):
    names = list(parameters(path))
    assert [name.removeprefix('/**/') for name in names] == [
        node for node in ('sim', *PIPELINE) if f'/**/{node}' in names
    ]


@pytest.mark.ros
@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.name)
def test_config_sets_only_what_exists_and_differs_from_the_default(path: Path):
    from vla_ros.nodes.params import NODE_PARAMS

    for name, section in parameters(path).items():
        defaults = NODE_PARAMS[name.removeprefix('/**/')]()
        for key, value in section['ros__parameters'].items():
            default = getattr(defaults, key)
            same = list(default) == value if isinstance(default, tuple) else default == value
            assert not same, f'{name}.{key}'


def test_vla_yaml_is_all_examples_each_a_block_that_loads_when_it_is_uncommented(tmp_path: Path):
    text = (ROOT / 'config' / 'vla.yaml').read_text()
    head, *blocks = text.split('\n\n')
    assert yaml.safe_load(text) is None
    assert not head.startswith('# /**/')
    mine = tmp_path / 'mine.yaml'
    for block in blocks:
        mine.write_text(re.sub('^# ', '', block, flags=re.M))
        (section,) = yaml.safe_load(mine.read_text()).values()
        assert section['ros__parameters']
        assert GRAPHS['robot'](Options(params_file=str(mine)))[0].parameter_files == (mine,)


def test_the_sims_workspace_is_that_of_its_table():
    config = yaml.safe_load((ROOT / 'config' / 'sim.yaml').read_text())
    pose = config['/**/pose']['ros__parameters']
    assert tuple(pose['workspace_min']) == WORKSPACE_MIN
    assert tuple(pose['workspace_max']) == WORKSPACE_MAX


def test_fast_dds_gets_shared_memory_for_a_full_hd_frame():
    root = ElementTree.parse(ROOT / 'config' / 'fastdds.xml').getroot()
    (size,) = [int(e.text) for e in root.iter() if e.tag.endswith('segment_size')]
    assert size >= 2 * 1920 * 1080 * 3


@pytest.mark.parametrize('name', ['vla', 'sim', 'rviz'])
def test_launch_files_only_name_a_graph(name: str):
    tree = ast.parse((ROOT / 'launch' / f'{name}.launch.py').read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert modules == {'launch', 'vla_ros.nodes.launching'}
    (function,) = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    assert function.name == 'generate_launch_description'
    assert len(function.body) == 1


def test_every_option_of_a_graph_is_plain_data():
    assert {type(f.default) for f in fields(Options)} <= {bool, int, float, str}


def test_code_stays_within_the_python_that_humble_has():
    for path in (ROOT / 'vla_ros').rglob('*.py'):
        ast.parse(path.read_text(encoding='utf-8'), feature_version=(3, 10))
    assert sys.version_info >= (3, 10)


def test_every_file_is_short_enough_to_read():
    lines = {p: p.read_text(encoding='utf-8').count('\n') for p in ROOT.glob('vla_ros/**/*.py')}
    assert [path.name for path, count in lines.items() if count > 420] == []


@pytest.mark.parametrize(
    'page', ['README.md', *(f'docs/{p.name}' for p in ROOT.glob('docs/*.md'))]
)
def test_every_link_of_the_documentation_leads_somewhere(page: str):
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r'\]\(([^)#]+)', text) if '://' not in link]
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert not missing
