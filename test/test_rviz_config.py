"""The RViz file against RViz 2's own classes and the topics of the graph; RViz is not needed."""

from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parent.parent
#: The display classes of rviz_default_plugins for ROS 2, by its plugins_description.xml, and the
#: message that each one reads ('' for those that read none, or parameters).
DISPLAYS = {
    f'rviz_default_plugins/{name}': message
    for name, message in {
        'AccelStamped': 'AccelStamped',
        'Axes': '',
        'Camera': 'Image',
        'DepthCloud': 'Image',
        'Effort': 'JointState',
        'FluidPressure': 'FluidPressure',
        'Grid': '',
        'GridCells': 'GridCells',
        'Illuminance': 'Illuminance',
        'Image': 'Image',
        'InteractiveMarkers': 'InteractiveMarkerUpdate',
        'LaserScan': 'LaserScan',
        'Map': 'OccupancyGrid',
        'Marker': 'Marker',
        'MarkerArray': 'MarkerArray',
        'Odometry': 'Odometry',
        'Path': 'Path',
        'PointCloud': 'PointCloud',
        'PointCloud2': 'PointCloud2',
        'PointStamped': 'PointStamped',
        'Polygon': 'PolygonStamped',
        'Pose': 'PoseStamped',
        'PoseArray': 'PoseArray',
        'PoseWithCovariance': 'PoseWithCovarianceStamped',
        'Range': 'Range',
        'RelativeHumidity': 'RelativeHumidity',
        'RobotModel': '',
        'TF': 'TFMessage',
        'Temperature': 'Temperature',
        'TwistStamped': 'TwistStamped',
        'Wrench': 'WrenchStamped',
    }.items()
}
TOOLS = {
    f'rviz_default_plugins/{name}'
    for name in (
        'FocusCamera',
        'Interact',
        'Measure',
        'MoveCamera',
        'PublishPoint',
        'Select',
        'SetGoal',
        'SetInitialPose',
    )
}
VIEWS = {f'rviz_default_plugins/{name}' for name in ('FPS', 'Orbit', 'TopDownOrtho', 'XYOrbit')}


@pytest.fixture(scope='module')
def manager():
    return yaml.safe_load((ROOT / 'config/vla.rviz').read_text())['Visualization Manager']


@pytest.fixture(scope='module')
def displays(manager):
    return [d for d in manager['Displays'] if 'Topic' in d]


def test_every_class_is_one_of_rviz_2(manager):
    assert {d['Class'] for d in manager['Displays']} <= set(DISPLAYS)
    assert {t['Class'] for t in manager['Tools']} <= TOOLS
    assert manager['Views']['Current']['Class'] in VIEWS


def test_every_display_shows_a_topic_of_the_graph_of_its_type(displays):
    from vla_ros.nodes import wiring

    types = {t.name: t.type.__name__ for t in wiring.TOPICS}
    shown = {d['Topic']['Value']: DISPLAYS[d['Class']] for d in displays}
    assert shown == {name: types[name] for name in shown}


def test_no_display_asks_for_more_than_its_topic_offers(displays):
    from vla_ros.nodes import wiring

    topics = {t.name: t for t in wiring.TOPICS}
    for display in displays:
        asked, topic = display['Topic'], topics[display['Topic']['Value']]
        offered = (topic.subscriber_qos or topic.qos).reliability.name
        assert asked['Durability Policy'] == 'Volatile'
        assert offered == 'RELIABLE' or asked['Reliability Policy'] == 'Best Effort', topic.name


def test_markers_attention_and_camera_are_shown_and_all_is_on(manager, displays):
    shown = {d['Topic']['Value'] for d in displays}
    assert shown == {'multimodal_viz', 'vla/attention_image', 'camera/image_raw'}
    assert all(d['Enabled'] for d in manager['Displays'])


def test_every_namespace_of_the_markers_is_on(manager):
    (markers,) = (d for d in manager['Displays'] if d['Class'].endswith('MarkerArray'))
    text = (ROOT / 'vla_ros/nodes/marker_messages.py').read_text()
    assert all(markers['Namespaces'].values())
    assert all(f"'{name}'" in text for name in markers['Namespaces'])
    assert len(markers['Namespaces']) == 7


def test_the_fixed_frame_is_that_of_the_markers(manager):
    from vla_ros.nodes.params import MarkerParams

    assert manager['Global Options']['Fixed Frame'] == MarkerParams().base_frame
