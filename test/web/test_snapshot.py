"""What a browser is told."""

import base64
import json
import math

import cv2
import numpy as np

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, GRIPPER_CHANNEL, POSE_CHANNELS
from vla_ros.web.snapshot import hello, MAX_SIDE_PX, policy_crop, Sight, snapshot, View

GREY = np.full((8, 8, 3), 128, np.uint8)


def told(view: View) -> dict:
    return json.loads(snapshot(view))


def test_nothing_yet_is_told_too():
    message = told(View())
    assert message['picture'] is message['attention'] is message['target'] is None
    assert message['chunk'] == []
    assert message['status_age_s'] is None


def test_the_picture_keeps_its_colours():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    data = base64.b64decode(told(View(sight=Sight(red)))['picture'].partition(',')[2])
    blue, green, shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[8, 8]
    assert abs(int(shown) - 200) < 8
    assert max(int(blue), int(green)) < 12


def test_each_word_has_its_own_cells():
    planes = np.zeros((2, 2, 2), np.float32)
    planes[0, 0, 0], planes[1, 1, 1] = 1.0, 3.0
    attention = told(View(sight=Sight(GREY, planes, ('red', 'block'))))['attention']
    assert (attention['rows'], attention['columns']) == (2, 2)
    assert [word['text'] for word in attention['words']] == ['red', 'block']
    assert [word['share'] for word in attention['words']] == [0.25, 0.75]
    assert list(base64.b64decode(attention['words'][0]['cells'])) == [255, 0, 0, 0]
    assert list(base64.b64decode(attention['cells'])) == [85, 0, 0, 255]


def test_numbers_that_are_none_are_left_out():
    view = View(
        status={'latency_p50_ms': 'nan', 'latency_p95_ms': '12.5', 'latency_p99_ms': 'soon'},
        measured=Pose.of((math.nan, 0.0, 0.0)),
        gripper=math.inf,
    )
    message = told(view)
    assert message['latency_ms'] == [None, 12.5, None]
    assert message['measured'] is message['gripper'] is None


def test_the_path_is_the_chunks_position_and_gripper():
    values = np.zeros((2, 8))
    values[1, :3], values[1, 7] = (0.1, 0.2, 0.3), 1.0
    chunk = ActionChunk(0, 0, 'base_link', (*POSE_CHANNELS, GRIPPER_CHANNEL), values, 0.1)
    assert told(View(chunk=chunk))['chunk'] == [[0, 0, 0, 0], [0.1, 0.2, 0.3, 1.0]]


def test_a_step_that_is_not_finite_is_not_drawn():
    values = np.zeros((2, 7))
    values[0, 1] = np.nan
    chunk = ActionChunk(0, 0, 'base_link', POSE_CHANNELS, values, 0.1)
    assert told(View(chunk=chunk))['chunk'] == [[0, 0, 0, 0]]


def test_joint_actions_have_no_path():
    chunk = ActionChunk(0, 0, 'base_link', ('joint_1',), np.zeros((2, 1)), 0.1)
    assert told(View(chunk=chunk))['chunk'] == []


def test_the_truth_is_reduced_to_places():
    objects = {'red block': [0.1, math.nan, 0.2], 'blue ball': 3}
    truth = {'objects': objects, 'zones': 7, 'success': {}}
    assert told(View(scene=truth))['scene'] == {'objects': {'red block': [0.1, 0.2]}, 'zones': {}}


def test_a_wide_frame_is_cut_to_what_the_policy_sees():
    assert policy_crop(np.zeros((240, 320, 3), np.uint8), 96, 96).shape == (240, 240, 3)


def test_a_large_frame_is_made_smaller():
    assert policy_crop(np.zeros((1080, 1920, 3), np.uint8), 96, 96).shape[0] == MAX_SIDE_PX


def test_a_browser_is_told_the_colours_and_what_the_reasons_mean():
    message = json.loads(hello(has_3d=False))
    assert len(base64.b64decode(message['palette'])) == 1024
    assert message['reasons']['stopped'].startswith('the user said stop')


def test_the_workspace_is_read_from_the_status():
    status = {'workspace_min': '0.2 -0.3 0', 'workspace_max': '0.6 0.3 0.4'}
    assert told(View(status=status))['workspace'] == [[0.2, -0.3, 0.0], [0.6, 0.3, 0.4]]


def test_half_a_workspace_is_none():
    assert told(View(status={'workspace_min': '0.2 -0.3 0'}))['workspace'] is None
