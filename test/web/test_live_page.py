"""The live page as a person uses it: a real browser, a real graph."""

import importlib.util
import math
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.ros, pytest.mark.graph, pytest.mark.xdist_group('graph')]

pytest.importorskip('websockets', reason='the extra viz is not installed')

from web import browser  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / 'out'
START_S = 90.0

if browser.find() is None:
    pytest.skip(
        f'no browser ({", ".join(browser.NAMES)}): apt install chromium', allow_module_level=True
    )


class Command:
    """``vla-ros ...`` in the background, its terminal in a file."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._terminal = folder / f'{arguments[0]}.txt'
        with self._terminal.open('w') as out:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'vla_ros.cli', *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            )

    def wait_for(self, pattern: str) -> str:
        """Return what the pattern's group finds in the terminal."""
        deadline = time.monotonic() + START_S
        while not (match := re.search(pattern, self._terminal.read_text())):
            assert self._process.poll() is None, self._terminal.read_text()
            assert time.monotonic() < deadline, self._terminal.read_text()
            time.sleep(0.1)
        return match.group(1)

    def __enter__(self) -> 'Command':
        return self

    def __exit__(self, *_) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=20)
        finally:
            self._process.kill()
        assert 'Traceback' not in self._terminal.read_text()


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A tab that shows the page of a running graph."""
    folder = tmp_path_factory.mktemp('live')
    with (
        Command(folder, 'up', 'sim', '--seed', '3', '--log-level', 'warn') as up,
        Command(folder, 'viz', '--port', '0') as viz,
    ):
        address = viz.wait_for(r'live page: (\S+)')
        up.wait_for('(ready:)')
        with browser.tab() as tab:
            tab.open(address)
            tab.wait('document.querySelector("#state").textContent === "idle"')
            yield tab


def keep(page, name: str) -> None:
    """Keep a picture for people to look at."""
    OUT.mkdir(exist_ok=True)
    page.screenshot(OUT / f'live_{name}.png')


def gripper(page) -> list[float]:
    return page.value('window.live.snapshot.measured.slice(0, 3)')


def objects(page) -> dict[str, list[float]]:
    return page.value('window.live.snapshot.scene.objects')


def test_the_camera_and_the_scene_are_shown(page):
    page.wait('document.querySelector("#no-picture").hidden')
    page.wait('window.live.snapshot.scene !== null')
    assert objects(page)
    keep(page, 'idle')


def test_a_typed_command_moves_the_robot_to_what_it_names(page):
    name, where = sorted(objects(page).items())[0]
    page.type('#command', f'point at the {name}')
    page.wait('document.querySelector("#state").textContent === "running"')
    page.wait('document.querySelector("#words").children.length >= 4')
    keep(page, 'running')

    def distance_m() -> float:
        return math.dist(gripper(page)[:2], where[:2])

    deadline = time.monotonic() + 40.0
    while distance_m() > 0.05:
        assert time.monotonic() < deadline, f'{distance_m():.2f} m from the {name}'
        time.sleep(0.2)
    assert page.text('#history').startswith(f'point at the {name}')


def test_the_e_stop_holds_and_commands_move_nothing_until_the_reset(page):
    far = max(objects(page), key=lambda name: math.dist(objects(page)[name], gripper(page)))
    page.type('#command', f'point at the {far}')
    page.wait('document.querySelector("#state").textContent === "running"')
    page.click('#estop')
    page.wait('document.querySelector("#state").textContent === "estopped"', timeout_s=5.0)
    time.sleep(0.7)
    held = gripper(page)
    page.type('#command', f'point at the {far}')
    time.sleep(1.0)
    assert math.dist(held, gripper(page)) < 0.002
    keep(page, 'estopped')
    page.click('#reset')
    page.wait('document.querySelector("#state").textContent !== "estopped"')


def test_the_page_asks_nobody_else_and_makes_no_error(page):
    page.wait('true')
    hosts = {re.sub(r'(\w+://[^/:]*).*', r'\1', request) for request in page.requests}
    assert {host for host in hosts if not host.startswith('data')} == {'http://127.0.0.1'}
    assert page.errors == []


def test_the_scene_is_drawn_in_3d(page):
    if importlib.util.find_spec('nicegui') is None:
        pytest.skip('three.js is not installed: python3 bootstrap.py viz')
    page.wait('window.live.space !== null')
    drawn = page.value('window.live.space.renderer.info.render.triangles')
    assert drawn > 100
