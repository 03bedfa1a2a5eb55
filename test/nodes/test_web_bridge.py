"""The live page's side of the graph, with a browser made of a WebSocket."""

import base64
from contextlib import contextmanager
import json
import threading

import cv2
import numpy as np
from pose_bench import OneToken, parameters, WORKSPACE
import pytest

pytest.importorskip('websockets', reason='the extra viz is not installed')

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from vla_ros.geometry import Pose
from vla_ros.interfaces import ActionChunk, CameraModel, EncodedCommand, POSE_CHANNELS
from vla_ros.nodes import wiring
from vla_ros.nodes.client import Client
from vla_ros.nodes.command_node import CommandNode
from vla_ros.nodes.conversions import (
    attention_to_message,
    camera_to_message,
    chunk_to_message,
    command_to_message,
    header,
    image_to_message,
    pose_to_message,
)
from vla_ros.nodes.pose_node import PoseNode
from vla_ros.nodes.web_bridge import SERVICES, WebBridge
from vla_ros.web.access import Access
from vla_ros.web.server import BUTTONS, LiveServer

pytestmark = pytest.mark.ros

POSE = Pose.of((0.4, 0.0, 0.2), (1.0, 0.0, 0.0, 0.0))


class Browser:
    """Draws every snapshot at once and keeps the newest; ``answers`` are what it was told."""

    def __init__(self, address: str) -> None:
        self._connection = connect(address.replace('http', 'ws') + 'live')
        self.newest: dict = {}
        self.answers: list[dict] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self):
        self._connection.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._connection.__exit__(*error)
        self._thread.join(5.0)

    def _listen(self) -> None:
        try:
            for text in self._connection:
                message = json.loads(text)
                if message['kind'] == 'snapshot':
                    self.newest = message
                    self.send(seen=True)
                elif message['kind'] == 'answer':
                    self.answers.append(message)
        except ConnectionClosed:
            pass

    def send(self, **wish) -> None:
        self._connection.send(json.dumps(wish))

    def height(self) -> int:
        """Return that of the picture shown, 0 without one."""
        data = base64.b64decode((self.newest.get('picture') or '').partition(',')[2])
        return len(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)) if data else 0

    def status(self) -> dict:
        return self.newest.get('status', {})


class Page:
    """A bridge, and a browser that looks on while the test's nodes spin."""

    def __init__(self, graph, bridge: WebBridge, browser: Browser) -> None:
        self._graph, self._bridge, self.browser = graph, bridge, browser

    def until(self, condition, timeout_s: float = 20.0) -> None:
        """Let the bridge run until ``condition`` holds; fail the test if it does not in time."""
        deadline = threading.Event()
        timer = threading.Timer(timeout_s, deadline.set)
        timer.start()
        self._bridge.run(until=lambda: deadline.is_set() or condition())
        timer.cancel()
        assert not deadline.is_set(), f'not within {timeout_s} s; newest: {self.browser.newest}'


@contextmanager
def open_page(graph):
    user = Client(on_spin=lambda: graph._executor.spin_once(timeout_sec=0.0))
    try:
        with (
            LiveServer(Access('127.0.0.1', ''), 0) as server,
            Browser(server.address) as browser,
        ):
            yield Page(graph, WebBridge(user, server), browser)
    finally:
        user.close()


@pytest.fixture
def page(graph):
    with open_page(graph) as opened:
        yield opened


@pytest.fixture
def pair(graph):
    """The two nodes that hear commands."""
    graph.add(PoseNode(parameter_overrides=parameters(**WORKSPACE)))
    graph.add(CommandNode(encoder=OneToken()))
    return graph


def publish(graph, topic, message) -> None:
    """Publish it ten times a second from now on."""
    publisher = topic.publisher(graph.peer)
    graph.peer.create_timer(0.1, lambda: publisher.publish(message))


def test_without_a_graph_the_browser_is_told_so(page):
    page.until(lambda: page.browser.newest)
    assert page.browser.newest['status_age_s'] is None
    assert page.browser.newest['picture'] is None


def test_a_command_typed_in_the_browser_reaches_the_robot(pair, page):
    page.until(lambda: page.browser.status().get('state') == 'idle')
    page.browser.send(say='pick up the red block')
    page.until(lambda: page.browser.status().get('command') == 'pick up the red block')
    assert [e['command'] for e in page.browser.newest['history']] == ['pick up the red block']
    assert page.browser.newest['workspace'] == [[0.2, -0.3, 0.0], [0.6, 0.3, 0.4]]


def test_the_e_stop_holds_until_the_reset(pair, page):
    page.until(lambda: page.browser.status())
    page.browser.send(press='estop')
    page.until(lambda: page.browser.status().get('state') == 'estopped')
    page.browser.send(press='reset')
    page.until(lambda: page.browser.status().get('state') != 'estopped')
    page.until(lambda: len(page.browser.answers) == 2)
    assert [answer['is_good'] for answer in page.browser.answers] == [True, True]


def test_a_button_of_a_node_that_is_not_there_is_answered(page):
    page.browser.send(press='scene')
    page.until(lambda: page.browser.answers)
    assert page.browser.answers[0]['text'] == 'scene: the sim node does not answer'
    assert not page.browser.answers[0]['is_good']


def chunk_of(frame_ns: int, command_ns: int):
    values = np.tile(POSE.vector(), (2, 1))
    chunk = ActionChunk(frame_ns, command_ns, 'base_link', POSE_CHANNELS, values, 0.1)
    return chunk_to_message(chunk)


def say(graph, stamp_ns: int, *pieces: str) -> None:
    tokens = np.ones((len(pieces), 4), np.float32)
    command = EncodedCommand(' '.join(pieces), stamp_ns, tokens, pieces)
    wiring.COMMAND_EMBEDDING.publisher(graph.peer).publish(command_to_message(command))


def test_the_attention_is_shown_over_the_frame_it_belongs_to(graph, page):
    stamp = header(2_000_000_000, 'camera')
    publish(graph, wiring.IMAGE, image_to_message(np.full((8, 8, 3), 90, np.uint8), stamp))
    say(graph, 1_000_000_000, 'red', 'block')
    publish(graph, wiring.ACTION_CHUNK, chunk_of(2_000_000_000, 1_000_000_000))
    publish(graph, wiring.ATTENTION, attention_to_message(np.ones((2, 3, 3), np.float32), stamp))
    page.until(lambda: page.browser.newest.get('attention'))
    words = page.browser.newest['attention']['words']
    assert [(word['text'], word['share']) for word in words] == [('red', 0.5), ('block', 0.5)]


def test_attention_of_a_frame_that_is_gone_is_not_shown_over_another(graph, page):
    frame = image_to_message(np.zeros((8, 8, 3), np.uint8), header(3_000_000_000, 'camera'))
    publish(graph, wiring.IMAGE, frame)
    say(graph, 1_000_000_000, 'go')
    publish(graph, wiring.ACTION_CHUNK, chunk_of(2_000_000_000, 1_000_000_000))
    other = header(2_000_000_000, 'camera')
    publish(graph, wiring.ATTENTION, attention_to_message(np.ones((1, 3, 3), np.float32), other))
    seen = graph.listen(wiring.ATTENTION)
    page.until(lambda: len(seen) > 3 and page.browser.newest.get('picture'))
    assert page.browser.newest['attention'] is None


def test_nothing_of_another_command_is_shown_under_the_words_of_this_one(graph, page):
    stamp = header(2_000_000_000, 'camera')
    publish(graph, wiring.IMAGE, image_to_message(np.zeros((8, 8, 3), np.uint8), stamp))
    say(graph, 1_000_000_000, 'go')
    publish(graph, wiring.ACTION_CHUNK, chunk_of(2_000_000_000, 900_000_000))
    publish(graph, wiring.ATTENTION, attention_to_message(np.ones((1, 3, 3), np.float32), stamp))
    seen = graph.listen(wiring.ATTENTION)
    page.until(lambda: len(seen) > 3 and page.browser.newest.get('picture'))
    assert page.browser.newest['attention'] is None
    assert page.browser.newest['chunk'] == []


def test_a_small_raw_frame_is_shown_instead_as_it_is_finer(graph, page):
    stamp = header(2_000_000_000, 'camera')
    camera = CameraModel(32, 32, 30.0, 30.0, 15.5, 15.5, POSE)
    publish(graph, wiring.CAMERA_INFO, camera_to_message(camera, 2_000_000_000, 'camera'))
    publish(graph, wiring.IMAGE, image_to_message(np.zeros((8, 8, 3), np.uint8), stamp))
    publish(graph, wiring.IMAGE_RAW, image_to_message(np.full((32, 32, 3), 255, np.uint8), stamp))
    page.until(lambda: page.browser.height() == 32)


def test_the_path_and_the_poses_are_shown(graph, page):
    say(graph, 1_000_000_000, 'go')
    publish(graph, wiring.ACTION_CHUNK, chunk_of(2_000_000_000, 1_000_000_000))
    publish(graph, wiring.ROBOT_ACTION, pose_to_message(POSE, 1, 'base_link'))
    publish(graph, wiring.ROBOT_POSE, pose_to_message(POSE, 1, 'base_link'))
    page.until(lambda: page.browser.newest.get('chunk') and page.browser.newest['measured'])
    page.until(lambda: page.browser.newest['target'])
    assert page.browser.newest['chunk'][0][:3] == [0.4, 0.0, 0.2]
    assert page.browser.newest['target'] == POSE.vector().tolist()


def test_each_button_of_the_page_has_its_service():
    assert set(SERVICES) == set(BUTTONS)
