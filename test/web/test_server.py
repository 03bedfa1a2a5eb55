"""The server of the live page, spoken to as a browser does."""

from contextlib import contextmanager
from http.client import HTTPConnection
import json
import time
from urllib.parse import urlsplit

import pytest

pytest.importorskip('websockets', reason='the extra viz is not installed')

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from vla_ros.errors import ConfigurationError
from vla_ros.web.access import Access
from vla_ros.web.server import BUTTONS, LiveServer, page_file, three_js, Wish

WAIT_S = 5.0


@pytest.fixture
def server():
    with LiveServer(Access('127.0.0.1', ''), 0) as running:
        yield running


def get(server: LiveServer, path: str, **headers: str):
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=WAIT_S)
    connection.request('GET', path, headers=headers)
    response = connection.getresponse()
    return response, response.read()


@contextmanager
def browser(server: LiveServer, **options):
    """A browser that has been greeted."""
    with connect(server.address.replace('http', 'ws') + 'live', **options) as opened:
        assert heard(opened)['kind'] == 'hello'
        yield opened


def heard(browser) -> dict:
    return json.loads(browser.recv(timeout=WAIT_S))


def test_the_page_is_served_and_may_load_nothing_from_elsewhere(server):
    response, body = get(server, '/')
    assert response.status == 200
    assert b'<title>vla_ros</title>' in body
    assert "default-src 'self'" in response.headers['Content-Security-Policy']


@pytest.mark.parametrize('path', ['/page.js', '/camera.js', '/strip.js', '/scene.js'])
def test_every_script_is_served_as_a_script(server, path: str):
    response, _ = get(server, path)
    assert response.status == 200
    assert response.headers['Content-Type'].startswith('text/javascript')


@pytest.mark.parametrize('path', ['/../server.py', '/%2e%2e/server.py', '//etc/passwd', '/none'])
def test_nothing_else_is_served(server, path: str):
    assert get(server, path)[0].status == 404


def test_a_foreign_host_name_is_refused(server):
    response, body = get(server, '/', Host='elsewhere.example')
    assert response.status == 403
    assert b'this machine only' in body


def test_a_page_of_another_site_gets_no_connection(server):
    with (
        pytest.raises(InvalidStatus) as refused,
        browser(server, origin='http://elsewhere.example'),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_without_the_token_there_is_no_connection():
    with LiveServer(Access('127.0.0.1', 'secret' * 4), 0) as server:
        address = server.address.replace('http', 'ws')
        with (
            pytest.raises(InvalidStatus),
            connect(address.partition('?')[0] + 'live'),
        ):
            pass
        with connect(address.replace('?', 'live?')) as opened:
            assert heard(opened)['kind'] == 'hello'


def test_every_browser_sees_the_same(server):
    with browser(server) as first, browser(server) as second:
        server.publish('{"number": 1}')
        assert heard(first) == heard(second) == {'number': 1}
        assert server.viewers == 2


def test_who_comes_later_sees_the_newest_at_once(server):
    with browser(server):
        server.publish('{"number": 1}')
        server.publish('{"number": 2}')
        with browser(server) as late:
            assert heard(late) == {'number': 2}


def test_a_slow_browser_misses_frames_and_delays_nobody(server):
    with browser(server) as slow, browser(server) as fast:
        for number in range(50):
            server.publish(json.dumps({'number': number}))
            assert heard(fast) == {'number': number}
            fast.send('{"seen": true}')
        assert heard(slow) == {'number': 0}
        slow.send('{"seen": true}')
        assert heard(slow) == {'number': 49}


def test_a_browser_that_says_nothing_gets_nothing_more(server):
    with browser(server) as silent:
        server.publish('{"number": 1}')
        assert heard(silent) == {'number': 1}
        server.publish('{"number": 2}')
        with pytest.raises(TimeoutError):
            silent.recv(timeout=0.2)


def test_commands_and_buttons_arrive_in_order(server):
    with browser(server) as user:
        user.send('{"say": "pick up the red block"}')
        user.send('{"press": "estop"}')
        assert server.wishes.get(timeout=WAIT_S).say == 'pick up the red block'
        assert server.wishes.get(timeout=WAIT_S).press == 'estop'


def test_only_who_asked_is_answered(server):
    with browser(server) as asking, browser(server) as other:
        asking.send('{"press": "reset"}')
        server.answer(server.wishes.get(timeout=WAIT_S).viewer, 'released', True)
        assert heard(asking) == {'kind': 'answer', 'text': 'released', 'is_good': True}
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.1)


NONSENSE = {
    'nothing': '',
    'no JSON': 'nonsense',
    'a list': '[]',
    'an unknown button': '{"press": "fire"}',
    'no text': '{"say": "\\ud800"}',
    'too deep': '[' * 4000,
}


@pytest.mark.parametrize('message', NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_answered_and_survived(server, message: str):
    with browser(server) as user:
        user.send(message)
        assert heard(user) == {
            'kind': 'answer',
            'text': 'this was not understood',
            'is_good': False,
        }


def test_a_flood_ends_its_connection_only(server):
    with browser(server) as flooding, browser(server) as other:
        flooding.send('x' * 100_000)
        server.publish('{"number": 1}')
        assert heard(other) == {'number': 1}


def test_a_browser_that_leaves_is_forgotten(server):
    with browser(server):
        pass
    deadline = time.monotonic() + WAIT_S
    while server.viewers and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.viewers == 0


def test_a_port_in_use_is_told_in_one_sentence(server):
    port = urlsplit(server.address).port
    with (
        pytest.raises(ConfigurationError, match=f'port {port}: .*choose another'),
        LiveServer(Access('127.0.0.1', ''), port),
    ):
        pass


def test_every_button_is_known():
    assert [Wish.of(1, json.dumps({'press': name})).press for name in BUTTONS] == list(BUTTONS)


def test_the_page_file_of_the_root_is_the_index():
    assert page_file('/').name == 'index.html'


def test_three_js_exports_what_the_scene_imports():
    if three_js() is None:
        pytest.skip('three.js is not installed: python3 bootstrap.py viz')
    assert 'THREE' in three_js().read_text()[-400:]
