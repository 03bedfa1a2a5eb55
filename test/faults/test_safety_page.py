"""docs/safety.md names every promise of the campaign, and none that does not exist."""

import importlib.util
from pathlib import Path
import re

from faults.every_promise import PROMISES
import pytest

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'safety.md'
ID = re.compile(r'\b[A-G]\d(?:\.[a-z]+)?\b')


def named() -> set[str]:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith('| ')]
    return {id for row in rows for id in ID.findall(row.split('|')[3])}


def test_every_promise_is_on_the_page():
    assert set(PROMISES) <= named()


@pytest.mark.skipif(importlib.util.find_spec('rclpy') is None, reason='needs rclpy')
def test_the_page_promises_nothing_else():
    assert named() <= set(PROMISES)
