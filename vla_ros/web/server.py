"""
The server of the live page: its files, and a WebSocket that tells browsers the newest snapshot.

It runs in a thread of its own. Each browser is sent one snapshot at a time and the next, the
newest by then, when it says that it has drawn it: a slow one misses frames and delays nobody.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
import importlib.util
import json
import logging
from pathlib import Path
from queue import SimpleQueue
import threading
from urllib.parse import urlsplit

from websockets.asyncio.server import serve, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from vla_ros.errors import ConfigurationError
from vla_ros.web.access import Access
from vla_ros.web.snapshot import answer, hello

PAGE = Path(__file__).resolve().parent / 'page'
LIVE_PATH = '/live'
#: A browser sends commands and button presses, nothing large.
MAX_MESSAGE_BYTES = 8192
MAX_VIEWERS = 32
START_TIMEOUT_S = 10.0

#: What a browser may press.
BUTTONS = ESTOP, RESET, CANCEL, SCENE = 'estop', 'reset', 'cancel', 'scene'

_TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css'}
#: The page may load nothing from anywhere else, and be shown inside nothing else.
_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"

_LOG = logging.getLogger(__name__)
#: Whoever connects without speaking HTTP is no news.
_LOG.addFilter(lambda record: 'handshake' not in record.getMessage())


@dataclass(frozen=True)
class Wish:
    """What a browser asked for: a command to say, or a button of ``BUTTONS``."""

    viewer: int
    say: str | None = None
    press: str | None = None

    @classmethod
    def of(cls, viewer: int, text: str | bytes) -> Wish | None:
        """Return the wish in a message; None if it asks for nothing; raises ValueError."""
        message = json.loads(text)
        if not isinstance(message, dict):
            raise ValueError('not an object')
        say, press = message.get('say'), message.get('press')
        if isinstance(say, str):
            say.encode('utf-8')  # a lone surrogate is no text
            return cls(viewer, say=say)
        if press is not None and press not in BUTTONS:
            raise ValueError(f'there is no button {press!r}')
        return None if press is None else cls(viewer, press=press)


@dataclass(eq=False)
class _Viewer:
    number: int
    #: The snapshot to send next, unless a newer one replaces it.
    newest: str | None = None
    has_drawn: bool = True
    answers: list[str] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class LiveServer:
    """Serves while it is entered as a context manager; every method may be called anywhere."""

    def __init__(self, access: Access, port: int) -> None:
        self._access = access
        self._port = port
        self._has_3d = three_js() is not None
        self._viewers: dict[int, _Viewer] = {}
        self._told = 0
        self._newest: str | None = None
        self._loop: asyncio.AbstractEventLoop
        self._started: Future[int] = Future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name='live page', daemon=True)
        #: What the browsers asked for, in order.
        self.wishes: SimpleQueue[Wish] = SimpleQueue()

    def __enter__(self) -> LiveServer:
        self._thread.start()
        try:
            self._port = self._started.result(START_TIMEOUT_S)
        except OSError as error:
            raise ConfigurationError(
                f'cannot listen on {self._access.bind} port {self._port}: '
                f'{error.strerror or error}; choose another with --port or --bind'
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(START_TIMEOUT_S)

    @property
    def address(self) -> str:
        """Return what to open in a browser, with the token if one is needed."""
        return self._access.address(self._port)

    @property
    def viewers(self) -> int:
        """Return how many browsers look on."""
        return len(self._viewers)

    def publish(self, snapshot: str) -> None:
        """Let every browser see ``snapshot`` as soon as it has drawn the one before."""
        self._loop.call_soon_threadsafe(self._offer, snapshot)

    def answer(self, viewer: int, text: str, is_good: bool) -> None:
        """Tell one browser what became of its wish."""
        self._loop.call_soon_threadsafe(self._reply, viewer, answer(text, is_good))

    def _offer(self, snapshot: str) -> None:
        self._newest = snapshot
        for viewer in self._viewers.values():
            viewer.newest = snapshot
            viewer.wake.set()

    def _reply(self, number: int, text: str) -> None:
        viewer = self._viewers.get(number)
        if viewer is not None:
            viewer.answers.append(text)
            viewer.wake.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with serve(
            self._talk,
            self._access.bind,
            self._port,
            process_request=self._respond,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            logger=_LOG,
        ) as server:
            self._started.set_result(next(iter(server.sockets)).getsockname()[1])
            await self._ended.wait()

    def _respond(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """Return a file of the page or a refusal; None lets the WebSocket open."""
        path = urlsplit(request.path).path
        # The page's own files say nothing about the robot, and a browser asks without the token.
        is_secret = path in ('/', LIVE_PATH)
        try:
            refusal = self._access.refusal(request.path, request.headers) if is_secret else ''
        except (ValueError, LookupError):  # no address at all, or two where one belongs
            refusal = 'this request cannot be read'
        if refusal:
            return connection.respond(HTTPStatus.FORBIDDEN, refusal + '\n')
        if path == LIVE_PATH:
            if len(self._viewers) < MAX_VIEWERS:
                return None
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, 'too many browsers\n')
        file = page_file(path)
        if file is None:
            return connection.respond(HTTPStatus.NOT_FOUND, 'there is no such page\n')
        return _file_response(file)

    async def _talk(self, connection: ServerConnection) -> None:
        self._told += 1
        viewer = _Viewer(self._told, newest=self._newest, answers=[hello(self._has_3d)])
        viewer.wake.set()
        self._viewers[viewer.number] = viewer
        sender = asyncio.create_task(_tell(connection, viewer))
        try:
            async for message in connection:
                self._hear(viewer, message)
        except ConnectionClosed:
            pass
        finally:
            del self._viewers[viewer.number]
            sender.cancel()

    def _hear(self, viewer: _Viewer, message: str | bytes) -> None:
        try:
            wish = Wish.of(viewer.number, message)
        except (ValueError, RecursionError):
            self._reply(viewer.number, answer('this was not understood', False))
            return
        if wish is not None:
            self.wishes.put(wish)
        else:
            viewer.has_drawn = True
            viewer.wake.set()


async def _tell(connection: ServerConnection, viewer: _Viewer) -> None:
    """Send what is new, for as long as the connection lasts."""
    with suppress(ConnectionClosed):
        while True:
            await viewer.wake.wait()
            viewer.wake.clear()
            while viewer.answers:
                await connection.send(viewer.answers.pop(0))
            if viewer.newest is not None and viewer.has_drawn:
                snapshot, viewer.newest, viewer.has_drawn = viewer.newest, None, False
                await connection.send(snapshot)


def page_file(path: str) -> Path | None:
    """Return the file behind a path of the page, or None."""
    if path == '/three.js':
        return three_js()
    name = path.removeprefix('/') or 'index.html'
    # Compared by name: no path of a request ever reaches the file system.
    return next((file for file in PAGE.iterdir() if file.name == name), None)


def three_js() -> Path | None:
    """Return three.js as the nicegui wheel brings it, or None; only this file of it is used."""
    spec = importlib.util.find_spec('nicegui')
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / 'elements' / 'scene' / 'dist' / 'index.js'
    return file if file.is_file() else None


def _file_response(file: Path) -> Response:
    body = file.read_bytes()
    headers = Headers(
        {
            'Content-Type': f'{_TYPES[file.suffix]}; charset=utf-8',
            'Content-Length': str(len(body)),
            'Content-Security-Policy': _POLICY,
            'X-Content-Type-Options': 'nosniff',
            'Referrer-Policy': 'no-referrer',
            'Cache-Control': 'no-cache',
            'Connection': 'close',
        }
    )
    return Response(HTTPStatus.OK, 'OK', headers, body)
