"""The RViz file against the topics of the graph; RViz itself is not needed."""

from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parent.parent
#: Display classes of RViz 2 and the message each one reads.
MESSAGE_OF_DISPLAY = {
    'rviz_default_plugins/MarkerArray': 'MarkerArray',
    'rviz_default_plugins/Pose': 'PoseStamped',
    'rviz_default_plugins/Image': 'Image',
}


def displays_with_topics():
    config = yaml.safe_load((ROOT / 'config/vla.rviz').read_text())
    return [d for d in config['Visualization Manager']['Displays'] if 'Topic' in d]


def test_every_display_shows_a_topic_of_the_graph_of_its_type():
    from vla_ros.nodes import wiring

    types = {t.name: t.type.__name__ for t in wiring.TOPICS}
    for display in displays_with_topics():
        name = display['Topic']['Value']
        assert types[name] == MESSAGE_OF_DISPLAY[display['Class']], name


def test_attention_markers_pose_and_camera_are_shown():
    shown = {d['Topic']['Value'] for d in displays_with_topics()}
    assert {'multimodal_viz', 'vla/attention_image', 'robot_action', 'camera/image_raw'} <= shown
