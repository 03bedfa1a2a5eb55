"""The marker node over real topics."""

from marker_bench import (
    attention,
    Bench,
    CAMERA,
    chunk,
    COMMAND_NS,
    DOWN,
    place,
    STAMP_NS,
    status,
    TARGET,
)
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker

from vla_ros.nodes import marker_node, wiring
from vla_ros.nodes.conversions import (
    attention_to_message,
    header,
    image_to_message,
    pose_to_message,
    to_ns,
)

pytestmark = pytest.mark.ros


@pytest.fixture
def bench(graph) -> Bench:
    bench = Bench(graph)
    bench.scene()
    return bench


def test_attention_lies_on_the_table_where_the_camera_looks_with_the_images_stamp(bench):
    bench.look()
    cells = bench.marker('attention')
    u, v = (18 + 0.5) * 4 - 0.5, (6 + 0.5) * 4 - 0.5
    assert place(cells) == pytest.approx(CAMERA.on_plane([[u, v]], 0.0))
    assert (to_ns(cells.header.stamp), cells.header.frame_id) == (STAMP_NS, 'base_link')
    assert len(cells.colors) == 1
    assert (cells.scale.x, cells.scale.y) == pytest.approx((1 / 24, 1 / 24))


def test_the_peak_is_drawn_at_the_cell_of_most_attention(bench):
    bench.look()
    peak, cells = bench.marker('attention_peak'), bench.marker('attention')
    at = peak.pose.position
    assert place(cells)[0] == pytest.approx([at.x, at.y, at.z])


def test_attention_is_bounded_and_finite_whatever_comes(bench):
    planes = np.random.default_rng(0).normal(size=(2, 200, 200)).astype(np.float32)
    planes[0, ::3] = np.nan
    planes[1, ::5] = np.inf
    bench.look(attention_to_message(planes, header(1, 'camera')), stamp_ns=1)
    cells = bench.marker('attention')
    assert 0 < len(cells.points) == len(cells.colors) <= 2000
    assert np.isfinite(place(cells)).all()


def test_the_chunk_is_a_path_in_its_own_frame_coloured_by_the_gripper(bench):
    bench.graph.publish(wiring.ACTION_CHUNK, chunk())
    path = bench.marker('action_chunk')
    assert place(path)[:, 0] == pytest.approx([0.4, 0.5, 0.6, 0.7])
    assert to_ns(path.header.stamp) == STAMP_NS
    assert path.colors[0] == path.colors[1] != path.colors[2] == path.colors[3]


def test_the_target_is_drawn_as_axes(bench):
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    ends = place(bench.marker('target_pose'))
    assert ends[::2] == pytest.approx(np.tile(TARGET.position, (3, 1)))
    assert ends[5] - ends[4] == pytest.approx((0.0, 0.0, -0.08))  # the tool looks down


def test_a_target_is_forgotten_when_the_robot_is_told_nothing_any_more(bench, monkeypatch):
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    bench.marker('target_pose')
    monkeypatch.setattr(marker_node.shapes, 'LIFETIME_S', 0)
    count = len(bench.arrays)
    bench.graph.publish(wiring.STATUS, status('holding', 'robot_does_not_follow'))
    bench.graph.until(lambda: len(bench.arrays) > count)
    assert {m.ns for m in bench.arrays[-1].markers} == {'command', 'state'}


def test_the_text_tells_the_command_as_it_was_read_and_its_most_attended_word(bench):
    bench.look()
    bench.graph.until(lambda: 'spread' in bench.marker('command').text)
    assert bench.marker('command').text == (
        'the crimson one\nread as: red\nmost attended: red (100 %)\nattention spread: 0.00'
    )


def test_attention_that_is_everywhere_is_called_diffuse(bench):
    even = attention_to_message(np.ones((2, 24, 24), np.float32), header(STAMP_NS, 'camera'))
    entropy = bench.graph.listen(wiring.ATTENTION_ENTROPY)
    bench.look(even)
    bench.graph.until(lambda: 'attention diffuse: 1.00' in bench.marker('command').text)
    bench.graph.until(lambda: entropy)
    assert entropy[-1].data == pytest.approx(1.0)


def test_the_state_is_told_with_its_reason_and_meaning_in_the_colour_of_warnings(bench):
    bench.graph.publish(wiring.STATUS, status('holding', 'image_old'))
    told = bench.marker('state')
    assert told.text.splitlines()[0] == 'holding: image_old'
    assert 'camera_timeout_s' in told.text.splitlines()[1]
    assert told.color.r > told.color.b


def test_the_workspace_of_the_gate_is_drawn_as_a_box(bench):
    corners = {'workspace_min': '0.2 -0.3 0.01', 'workspace_max': '0.7 0.3 0.4'}
    bench.graph.publish(wiring.STATUS, status('running', 'ok', **corners))
    edges = place(bench.marker('workspace')).reshape(-1, 2, 3)
    assert len(edges) == 12
    assert edges.min(axis=(0, 1)) == pytest.approx((0.2, -0.3, 0.01))
    assert edges.max(axis=(0, 1)) == pytest.approx((0.7, 0.3, 0.4))


def test_a_command_cannot_write_control_characters(bench):
    bench.command('\x1b[31mred' + 'x' * 10_000, stamp_ns=2)
    bench.graph.until(lambda: '31m' in bench.marker('command').text)
    assert len(bench.marker('command').text) < 500
    assert '\x1b' not in bench.marker('command').text


def test_every_marker_has_its_own_name_and_vanishes_by_itself(bench):
    corners = {'workspace_min': '0.2 -0.3 0.01', 'workspace_max': '0.7 0.3 0.4'}
    bench.graph.publish(wiring.STATUS, status('running', 'ok', **corners))
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    bench.look()
    of_attention = {'attention', 'attention_peak', 'action_chunk'}
    others = {'target_pose', 'workspace', 'command', 'state'}
    markers = [bench.marker(name) for name in of_attention | others]
    assert all(m.lifetime.sec == 1 and m.id == 0 and m.action == Marker.ADD for m in markers)
    for array in bench.arrays:
        assert len({m.ns for m in array.markers}) == len(array.markers)


def test_a_message_has_at_most_2000_points_however_fine_the_grid_and_long_the_path(bench):
    rows = np.tile([0.4, 0.0, 0.2, *DOWN, 0.0], (900, 1))
    planes = np.ones((2, 300, 400), np.float32)
    bench.look(attention_to_message(planes, header(STAMP_NS, 'camera')), values=rows)
    bench.marker('attention')
    bench.marker('action_chunk')
    assert all(sum(len(m.points) for m in a.markers) <= 2000 for a in bench.arrays)


def test_where_depth_is_published_the_cells_lie_on_it(bench):
    depth = np.full((48, 48), 0.9, np.float32)  # 10 cm above the table
    message = Image(encoding='32FC1', height=48, width=48, step=192, data=depth.tobytes())
    message.header = header(STAMP_NS + 50_000_000, 'camera')
    bench.graph.publish(wiring.DEPTH, message)
    bench.graph.until(lambda: len(bench.node._depths))
    bench.look()
    assert place(bench.marker('attention'))[:, 2] == pytest.approx(0.1)
    assert bench.marker('attention_peak').pose.position.z == pytest.approx(0.1)


def test_depth_of_another_time_is_not_used(bench):
    depth = np.full((48, 48), 0.9, np.float32)
    message = Image(encoding='32FC1', height=48, width=48, step=192, data=depth.tobytes())
    message.header = header(STAMP_NS - 200_000_000, 'camera')
    bench.graph.publish(wiring.DEPTH, message)
    bench.graph.until(lambda: len(bench.node._depths))
    bench.look()
    assert place(bench.marker('attention'))[:, 2] == pytest.approx(0.0)


def test_the_word_whose_attention_is_drawn_can_be_changed_while_it_runs(bench):
    planes = np.zeros((2, 24, 24), np.float32)
    planes[0, 3, 3], planes[1, 6, 18] = 3.0, 1.0
    bench.look(attention_to_message(planes, header(STAMP_NS, 'camera')))
    assert len(bench.marker('attention').points) == 2
    bench.arrays.clear()
    assert bench.node.set_parameters([Parameter('word', value='peak')])[0].successful
    bench.look(attention_to_message(planes, header(STAMP_NS, 'camera')))
    assert len(bench.marker('attention').points) == 1


@pytest.mark.parametrize('word', ['0', 0])
def test_a_word_is_chosen_by_its_number_as_text_or_as_what_the_shell_makes_of_it(graph, word):
    assert Bench(graph, word=word).node._word == '0'


def test_a_word_is_chosen_by_its_number_while_it_runs(bench):
    assert bench.node.set_parameters([Parameter('word', value=1)])[0].successful
    assert bench.node._word == '1'


@pytest.mark.parametrize('word', ['red', -1, 1.0, True, [1], None])
def test_a_word_that_cannot_be_is_refused(bench, word):
    result = bench.node.set_parameters([Parameter('word', value=word)])[0]
    assert not result.successful
    assert bench.node._word == 'all'
    assert 'valid: all, peak' in result.reason


def test_saliency_is_drawn_in_place_of_attention_where_chosen(graph):
    bench = Bench(graph, source='saliency')
    bench.scene()
    graph.publish(wiring.ACTION_CHUNK, chunk())
    graph.publish(wiring.SALIENCY, attention())
    graph.until(lambda: 'saliency spread' in bench.marker('command').text)


def test_the_heat_map_is_drawn_over_the_frame_that_the_policy_saw(bench):
    seen, other = (np.full((96, 96, 3), v, np.uint8) for v in (60, 200))
    frames = {STAMP_NS: seen, STAMP_NS + 1: other}
    for stamp_ns, pixels in frames.items():
        message = image_to_message(pixels, header(stamp_ns, 'camera_optical_frame'))
        bench.graph.publish(wiring.IMAGE, message)
        bench.graph.until(lambda stamp_ns=stamp_ns: bench.node._images.get(stamp_ns))
    bench.look()
    bench.graph.until(lambda: bench.pictures)
    picture = bench.pictures[-1]
    pixels = np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 3)
    assert to_ns(picture.header.stamp) == STAMP_NS
    assert picture.header.frame_id == 'camera_optical_frame'
    assert (pixels[383, 0] == 60).all()
    assert picture.height > picture.width  # the words below
    assert pixels[104, 296].max() > 150


def test_frames_do_not_pile_up(bench):
    for i in range(30):
        message = image_to_message(np.zeros((8, 8, 3), np.uint8), header(i, 'camera'))
        bench.node._keep(bench.node._images, message)
    assert len(bench.node._images) == 8


def test_without_a_task_there_is_no_attention(bench):
    bench.command('stop', tokens=0, stamp_ns=2)
    bench.look()
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    bench.marker('target_pose')
    assert not any(m.ns == 'attention' for a in bench.arrays for m in a.markers)


def test_attention_of_the_command_before_is_not_drawn_with_the_new_words(bench):
    """Even of a frame taken after the new command: the chunk tells which one it was for."""
    bench.command('point at the ball', stamp_ns=2)
    bench.look(command_stamp_ns=COMMAND_NS)
    bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
    bench.marker('target_pose')
    drawn = {m.ns for a in bench.arrays for m in a.markers}
    assert not drawn & {'attention', 'action_chunk'}


def test_when_the_attention_stops_the_text_forgets_it(bench):
    bench.look()
    bench.graph.until(lambda: 'spread' in bench.marker('command').text)

    def forgotten() -> bool:
        bench.graph.publish(wiring.ROBOT_ACTION, pose_to_message(TARGET, 9, 'base_link'))
        return bench.marker('command').text == 'the crimson one\nread as: red'

    bench.graph.until(forgotten)
