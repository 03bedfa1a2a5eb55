"""
Where the processor time of the pipeline goes, by py-spy, beside nodes written plainly.

Every thread of Python that runs is looked at some hundred times a second; what it is doing is told
by the innermost of its calls that anything is known of. Threads of the middleware and of torch
cannot be seen: their time is told in proportion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
import os
from pathlib import Path
import shutil
import subprocess
import sys

import numpy as np

from vla_ros.bench.pipeline import Load, measure, Subject
from vla_ros.errors import ConfigurationError

RATE_HZ = 200
MODEL, OTHER = 'the policy', 'other'
#: What a call is for, by a part of its name or its file; the first that fits counts.
_PARTS = {
    MODEL: ('infer_all', 'infer (', '_call_impl', '_infer (', 'forward ('),
    'publishing': ('publish (rclpy', 'serialize_message'),
    'messages to and from arrays': ('_msgs/msg/', 'conversions.py', 'codec.py'),
    'resizing and decoding': ('pipeline/image.py', 'camera_node.py', '_on_image (plain_nodes'),
    'gate, chunk and motion': (
        'pipeline/gate.py',
        'pipeline/motion.py',
        'pipeline/chunk.py',
        'pipeline/controller.py',
        'pipeline/session.py',
        'geometry.py',
    ),
    'receiving and waiting': ('rclpy/', 'executor'),
    'the rest of the nodes': ('vla_ros/', 'plain_nodes.py'),
}
CATEGORIES = (*_PARTS, OTHER)


def spy_path() -> str:
    """Return the program py-spy; raises ConfigurationError if it is not there or may not look."""
    beside = Path(sys.executable).with_name('py-spy')
    found = str(beside) if beside.is_file() else shutil.which('py-spy')
    if found is None:
        raise ConfigurationError("py-spy is not installed: pip install '.[bench]'")
    look = [found, 'dump', '--nonblocking', '--pid', str(os.getpid())]
    tried = subprocess.run(look, capture_output=True, text=True, errors='replace')
    if tried.returncode:
        raise ConfigurationError(
            f'py-spy may not look at processes ({tried.stderr.strip().splitlines()[-1]}): '
            'allow it with "sudo sysctl kernel.yama.ptrace_scope=0"'
        )
    return found


def profile(subject: Subject, load: Load, folder: Path) -> dict[str, float]:
    """
    Run a subject once; return the processor time, ms a picture, by category.

    What py-spy writes stays in ``folder``, which is empty before. Raises as ``spy_path`` and
    ``measure`` do.
    """
    spy = spy_path()
    spies: list[subprocess.Popen[bytes]] = []

    def watch(pids: Collection[int]) -> None:
        seconds = max(1, round(load.frames / load.rate_hz))
        for pid in pids:
            options = ['--nonblocking', '-f', 'raw', '-r', str(RATE_HZ), '-d', str(seconds)]
            command = [spy, 'record', *options, '-o', str(folder / f'{pid}.txt'), '-p', str(pid)]
            silent = subprocess.DEVNULL
            spies.append(subprocess.Popen(command, stdout=silent, stderr=silent))

    try:
        sample = measure(subject, load, watch)
    except BaseException:
        for process in spies:
            process.kill()
        raise
    finally:
        for process in spies:
            process.wait()
    stacks: Counter[str] = Counter()
    for out in folder.glob('*.txt'):
        stacks.update(read_stacks(out.read_text().splitlines()))
    # A thread that waits for a processor looks as if it ran, so only shares are taken from here.
    total = stacks.total() or 1
    return {name: sample.cpu_ms * n / total for name, n in by_category(stacks).items()}


def read_stacks(lines: Iterable[str]) -> Counter[str]:
    """Return the samples of each stack, outermost call first, as py-spy writes them."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(' ')
        found[stack] += int(count)
    return found


def by_category(stacks: Mapping[str, int]) -> dict[str, int]:
    """Return the samples of each of ``CATEGORIES``."""
    found = dict.fromkeys(CATEGORIES, 0)
    for stack, count in stacks.items():
        found[category(stack)] += count
    return found


def category(stack: str) -> str:
    """Return what a stack of calls is for."""
    for call in reversed(stack.split(';')):
        for name, parts in _PARTS.items():
            if any(part in call for part in parts):
                return name
    return OTHER


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median over the rounds of each category."""
    return {name: float(np.median([r[name] for r in rounds])) for name in CATEGORIES}


def table(profiles: Mapping[str, Mapping[str, float]]) -> str:
    """Return a line for each category, a column for each subject: ms of a processor a picture."""
    lines = [' ' * 28 + ''.join(f'{name:>16}' for name in profiles)]
    for row in CATEGORIES:
        lines.append(f'{row:<28}' + ''.join(f'{p[row]:>16.2f}' for p in profiles.values()))
    sums = ''.join(f'{sum(p.values()):>16.2f}' for p in profiles.values())
    return '\n'.join([*lines, f'{"all":<28}{sums}'])
