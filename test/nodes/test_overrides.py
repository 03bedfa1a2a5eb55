"""What whoever starts a node has chosen, against files that say otherwise."""

from pathlib import Path
import subprocess
import sys

import pytest
from rcl_interfaces.srv import GetParameters

from vla_ros.bringup import GRAPHS, Options
from vla_ros.nodes.overrides import chosen
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.manifest import read_manifest

pytestmark = pytest.mark.ros

#: The general section stands first, so that to rcl the one with the node's name is the last word.
FILE = """
/**:
  ros__parameters:
    use_sim_time: false
{section}:
  ros__parameters:
    image_width: 32
    max_image_bytes: 4096
"""


@pytest.mark.parametrize(
    ('namespace', 'section'),
    [('', '/**/camera'), ('', '/camera'), ('/arm', '/**/camera'), ('/arm', '/arm/camera')],
)
def test_what_is_chosen_wins_over_every_section_of_a_file(graph, tmp_path, namespace, section):
    mine = tmp_path / 'mine.yaml'
    mine.write_text(FILE.format(section=section))
    policy = str(shipped_policy_path())
    options = Options(namespace=namespace, params_file=str(mine), policy_path=policy)
    spec = GRAPHS['robot'](options)[0]
    request = GetParameters.Request(names=['image_width', 'max_image_bytes'])
    with subprocess.Popen(
        [sys.executable, '-m', spec.module, *spec.ros_arguments()], cwd=Path(__file__).parents[2]
    ) as process:
        try:
            answer = graph.call(GetParameters, f'{namespace}/camera/get_parameters', request)
        finally:
            process.terminate()
    width, max_bytes = (value.integer_value for value in answer.values)
    assert width == read_manifest(Path(policy)).image_width
    assert max_bytes == 4096


def test_the_flags_of_ros_are_left_to_ros():
    flags = ['--ros-args', '--param', 'a:=1', '-p', 'b:=2', '--params-file', 'x.yaml']
    assert chosen(['camera_node', *flags]) == {}
    assert chosen(['camera_node', '--parameters', '{"a": 1}', *flags]) == {'a': 1}
