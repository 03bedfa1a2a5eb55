"""What may import what: ROS stays in vla_ros/nodes and launch, torch out of the pose node."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'vla_ros'
ROS_SUFFIXES = ('_msgs', '_srvs', '_interfaces')
ROS_PACKAGES = ('rclpy', 'launch', 'launch_ros', 'cv_bridge')


def is_ros(module: str) -> bool:
    top = module.partition('.')[0]
    return top in ROS_PACKAGES or top.endswith(ROS_SUFFIXES)


def pure_modules() -> list[str]:
    files = [p.relative_to(ROOT).with_suffix('') for p in PACKAGE.rglob('*.py')]
    names = ['.'.join(p.parts).removesuffix('.__init__') for p in files]
    return sorted(
        name
        for name in names
        if not name.startswith('vla_ros.nodes') and not name.endswith('.__main__')
    )


def loaded_by(*modules: str) -> set[str]:
    """Return the top-level packages in memory after importing modules in a new process."""
    program = (
        'import importlib, sys\n'
        f'for name in {list(modules)!r}: importlib.import_module(name)\n'
        'print(*{name.partition(".")[0] for name in sys.modules})'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def imported_names(path: Path) -> set[str]:
    """Return every module that a file imports anywhere, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_importing_every_pure_module_loads_no_ros():
    assert {name for name in loaded_by(*pure_modules()) if is_ros(name)} == set()


@pytest.mark.parametrize(
    'path',
    [p for p in sorted(PACKAGE.rglob('*.py')) if p.parent.name not in ('nodes', 'cli')],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_pure_file_imports_ros_even_later(path: Path):
    assert {name for name in imported_names(path) if is_ros(name)} == set()


def test_only_the_command_line_reaches_into_the_nodes():
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob('*.py')
        if any(name.startswith('vla_ros.nodes') for name in imported_names(path))
    }
    assert users <= {'nodes', 'cli'}


@pytest.mark.ros
@pytest.mark.parametrize('node', ['camera', 'pose', 'marker', 'sim'])
def test_nodes_that_run_no_model_load_no_torch(node: str):
    assert 'torch' not in loaded_by(f'vla_ros.nodes.{node}_node')


@pytest.mark.ros
def test_the_one_process_for_all_loads_torch_only_with_a_model():
    assert 'torch' not in loaded_by('vla_ros.nodes.composed_node')


@pytest.mark.ros
@pytest.mark.parametrize('command', ['up', 'say', 'status', 'reset'])
def test_commands_for_a_running_graph_load_neither_torch_nor_the_simulator(command: str):
    loaded = loaded_by(f'vla_ros.cli.{command}', 'vla_ros.nodes.client')
    assert loaded.isdisjoint({'torch', 'mujoco'})


@pytest.mark.ros
def test_the_live_page_and_the_recorder_load_neither_torch_nor_the_simulator():
    loaded = loaded_by('vla_ros.nodes.web_bridge', 'vla_ros.nodes.bag_recorder')
    assert loaded.isdisjoint({'torch', 'mujoco'})


@pytest.mark.ros
def test_the_client_draws_in_no_image_library():
    assert 'cv2' not in loaded_by('vla_ros.nodes.client')
