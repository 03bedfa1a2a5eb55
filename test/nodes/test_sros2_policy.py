"""The SROS2 policy allows what the nodes do, and nothing else."""

from collections.abc import Iterator
import gc
from pathlib import Path
from unittest.mock import MagicMock
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from tiny_policy import write_policy
import yaml

from vla_ros import bringup
from vla_ros.nodes import wiring
from vla_ros.nodes.camera_node import CameraNode
from vla_ros.nodes.client import Client, client
from vla_ros.nodes.command_node import CommandNode
from vla_ros.nodes.inference_node import InferenceNode
from vla_ros.nodes.marker_node import MarkerNode
from vla_ros.nodes.pose_node import PoseNode
from vla_ros.nodes.sim_node import SimNode

pytestmark = pytest.mark.ros

POLICY = Path(__file__).parents[2] / 'config' / 'sros2' / 'policy.xml'
NODES = ('sim', *bringup.PIPELINE)
#: Who else has an enclave.
OTHERS = ('robot', 'rviz', 'operator')
#: Not in every version of ROS 2.
NEWER = {'get_type_description'}


@pytest.fixture(autouse=True)
def no_ghosts():
    """End nodes that earlier tests in this process refused to make, which have the same names."""
    gc.collect()


class Encoder:
    id, sha256 = 'none', ''

    def encode(self, text: str) -> np.ndarray:
        return np.zeros((1, 1), np.float32)


def allowed(enclave: str) -> dict[str, set[str]]:
    """Return the resolved names of an enclave by what may be done with them."""
    root = ElementTree.parse(POLICY).getroot()
    (profile,) = root.findall(f".//enclave[@path='/vla_ros/{enclave}']/profiles/profile")
    found: dict[str, set[str]] = {}
    for group in profile:
        (kind,) = group.attrib
        found[kind] = {resolved(profile.get('node'), item.text) for item in group}
    return found


def resolved(node: str, name: str) -> str:
    return name if name.startswith('/') else '/' + name.replace('~', node)


def used(node) -> dict[str, set[str]]:
    """Return the same of a node as it is."""
    where = node.get_name(), node.get_namespace()
    asked = {
        'publish': node.get_publisher_names_and_types_by_node,
        'subscribe': node.get_subscriber_names_and_types_by_node,
        'reply': node.get_service_names_and_types_by_node,
    }
    return {kind: {name for name, _ in ask(*where)} for kind, ask in asked.items()}


def overrides(**values) -> dict:
    values = {'use_sim_time': True, **values}
    return {'parameter_overrides': [Parameter(name, value=v) for name, v in values.items()]}


def make(name: str, folder: Path) -> Iterator[Node]:
    """Yield nodes that together have everything the node may ever subscribe to or publish."""
    if name == 'camera':
        for transport in ('raw', 'compressed'):
            yield CameraNode(**overrides(image_transport=transport))
    elif name == 'command':
        yield CommandNode(encoder=Encoder(), **overrides())
    elif name == 'inference':
        path = write_policy(folder / 'tiny.pt')
        node = InferenceNode(**overrides(policy_path=str(path), autostart=False))
        node.trigger_configure()
        node.trigger_activate()
        yield node
    elif name == 'pose':
        box = {'workspace_min': [0.2, -0.3, 0.0], 'workspace_max': [0.6, 0.3, 0.4]}
        yield PoseNode(**overrides(**box))
    elif name == 'marker':
        for source in ('attention', 'saliency'):
            yield MarkerNode(**overrides(source=source))
    else:
        size = {'image_width': 32, 'image_height': 32}
        yield SimNode(**overrides(use_sim_time=False, publish_clock=True, **size))


@pytest.mark.parametrize('name', NODES)
def test_an_enclave_allows_what_its_node_does_and_nothing_else(graph, tmp_path, name):
    has: dict[str, set[str]] = {}
    for node in make(name, tmp_path):
        graph.add(node)
        # A node of this name that another test killed is in the graph for 20 s, and found first.
        graph.until(lambda node=node: f'/{name}/set_parameters' in used(node)['reply'], 60.0)
        for kind, names in used(node).items():
            has[kind] = has.get(kind, set()) | names
        graph.remove(node)
    may = allowed(name)
    missing = {f'/{name}/{service}' for service in NEWER} - has['reply']
    may['reply'] -= missing
    assert has == may


def test_every_node_has_an_enclave_and_starts_in_it():
    paths = {e.get('path') for e in ElementTree.parse(POLICY).getroot().iter('enclave')}
    specs = [spec for graph in bringup.GRAPHS.values() for spec in graph(bringup.Options())]
    assert {f'/vla_ros/{name}' for name in (*NODES, *OTHERS)} == paths
    for spec in specs:
        arguments = spec.ros_arguments()
        assert arguments[arguments.index('--enclave') + 1] == f'/vla_ros/{spec.name}'


def test_nothing_is_allowed_by_a_wildcard():
    names = [item.text for item in ElementTree.parse(POLICY).getroot().iter() if item.text]
    assert not any('*' in name or '?' in name for name in names)


@pytest.mark.parametrize(
    'topic', [wiring.ROBOT_ACTION, wiring.GRIPPER_ACTION, wiring.STATUS, wiring.ACTION_CHUNK]
)
def test_what_moves_the_robot_has_one_publisher(topic):
    may = [e for e in (*NODES, *OTHERS) if f'/{topic.name}' in allowed(e)['publish']]
    assert may == ['inference' if topic is wiring.ACTION_CHUNK else 'pose']


@pytest.mark.parametrize('service', [wiring.ESTOP, wiring.RESET, wiring.CANCEL, wiring.ENABLE])
def test_only_the_operator_asks_the_pose_node_for_anything(service):
    name = resolved(service.server, service.name)
    may = [e for e in (*NODES, *OTHERS) if name in allowed(e).get('request', set())]
    assert may == ['operator']


def check_operator(user: Client) -> None:
    """Compare a client with what the operator may do."""
    has, may = used(user._node), allowed('operator')
    asks = user._node.get_client_names_and_types_by_node(
        user._node.get_name(), user._node.get_namespace()
    )
    assert has['publish'] <= may['publish']
    assert has['subscribe'] <= may['subscribe']
    assert {name for name, _ in asks} <= may['request']
    assert has['reply'] == set()


def test_the_command_line_needs_no_more_than_the_operator_may():
    with client() as user:
        check_operator(user)


def test_the_live_page_needs_no_more_than_the_operator_may():
    pytest.importorskip('websockets', reason='the extra viz is not installed')
    from vla_ros.nodes.web_bridge import WebBridge

    with client() as user:
        bridge = WebBridge(user, MagicMock())
        bridge._on_camera_info(CameraInfo(width=192, height=192))
        assert '/camera/image_raw' in used(user._node)['subscribe']
        check_operator(user)


def test_a_recorder_needs_no_more_than_the_operator_may():
    pytest.importorskip('rosbags', reason='the extra record is not installed')
    from vla_ros.nodes.bag_recorder import BagRecorder

    with client() as user:
        BagRecorder(user, MagicMock(), overlay=True, saliency=True)
        BagRecorder(user, MagicMock(), compressed=True)
        check_operator(user)


def test_rviz_may_see_what_its_displays_show():
    manager = yaml.safe_load((POLICY.parents[1] / 'vla.rviz').read_text())['Visualization Manager']
    shown = {f'/{d["Topic"]["Value"]}' for d in manager['Displays'] if 'Topic' in d}
    assert shown <= allowed('rviz')['subscribe']
