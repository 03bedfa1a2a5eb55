"""A headless Chromium, driven by its DevTools protocol: what a person does, and what they see."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
import itertools
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

NAMES = ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome')
TIMEOUT_S = 60.0


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One page; ``requests`` are the addresses that it asked for, ``errors`` what it threw."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.errors: list[str] = []
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self._do(f'{domain}.enable')

    def open(self, address: str) -> None:
        self._do('Page.navigate', url=address)
        self.wait('location.href !== "about:blank" && document.readyState === "complete"')

    def value(self, expression: str) -> Any:
        """Return what a JavaScript expression yields in the page."""
        result = self._do('Runtime.evaluate', expression=expression, returnByValue=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def text(self, selector: str) -> str:
        return self.value(f'document.querySelector({json.dumps(selector)})?.textContent ?? ""')

    def click(self, selector: str) -> None:
        self.value(f'document.querySelector({json.dumps(selector)}).click()')

    def type(self, selector: str, text: str) -> None:
        """Type into a field as a keyboard does, and press Enter."""
        self.value(f'document.querySelector({json.dumps(selector)}).focus()')
        self._do('Input.insertText', text=text)
        for kind in ('keyDown', 'keyUp'):
            self._do(
                'Input.dispatchKeyEvent',
                type=kind,
                key='Enter',
                text='\r',
                windowsVirtualKeyCode=13,
            )

    def wait(self, expression: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until an expression is true; fail the test if it does not become so."""
        deadline = time.monotonic() + timeout_s
        while not self.value(expression):
            assert time.monotonic() < deadline, f'not within {timeout_s} s: {expression}'
            time.sleep(0.1)

    def screenshot(self, path: Path) -> None:
        data = self._do('Page.captureScreenshot', format='png')['data']
        path.write_bytes(base64.b64decode(data))

    def _do(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {'id': number, 'method': method, 'params': parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=TIMEOUT_S))
            if answer.get('id') == number:
                assert 'error' not in answer, answer
                return answer['result']
            self._note(answer)

    def _note(self, event: dict) -> None:
        parameters = event.get('params', {})
        if event.get('method') == 'Network.requestWillBeSent':
            self.requests.append(parameters['request']['url'])
        elif event.get('method') == 'Runtime.exceptionThrown':
            self.errors.append(json.dumps(parameters['exceptionDetails']))
        elif event.get('method') == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.errors.append(json.dumps(parameters['entry']))


@contextmanager
def tab(width: int = 1280, height: int = 900) -> Iterator[Tab]:
    """Open a tab in a browser of its own."""
    chromium = find()
    assert chromium is not None
    with tempfile.TemporaryDirectory(
        prefix='vla_ros_browser_', ignore_cleanup_errors=True
    ) as folder:
        process = subprocess.Popen(
            [
                *(chromium, '--headless', '--no-sandbox', '--disable-gpu-sandbox'),
                *('--remote-debugging-port=0', f'--user-data-dir={folder}'),
                # WebGL without a graphics card.
                *('--use-angle=swiftshader', '--enable-unsafe-swiftshader'),
                f'--window-size={width},{height}',
                'about:blank',
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with connect(_debugger(Path(folder)), max_size=None) as connection:
                yield Tab(connection)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # and the processes that it has started
            process.wait()


def _debugger(folder: Path) -> str:
    """Return the WebSocket address of the browser's only tab."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        assert time.monotonic() < deadline, 'the browser does not start'
        time.sleep(0.1)
        try:
            port = (folder / 'DevToolsActivePort').read_text().split()[0]
            pages = json.load(urlopen(f'http://127.0.0.1:{port}/json/list', timeout=5))
        except (OSError, IndexError):
            continue
        if pages := [page for page in pages if page['type'] == 'page']:
            return pages[0]['webSocketDebuggerUrl']
