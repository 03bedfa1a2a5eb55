"""Leftovers of killed participants."""

import fcntl
from pathlib import Path
import subprocess
import sys

from vla_ros.shared_memory import remove_leftovers

SEGMENT = 'fastrtps_0123456789abcdef'


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text('')


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_of_the_dead_are_removed(tmp_path: Path):
    make(tmp_path, SEGMENT, f'{SEGMENT}_el')
    make(tmp_path, 'fastrtps_port7411', 'fastrtps_port7411_el', 'sem.fastrtps_port7411_mutex')
    assert remove_leftovers(tmp_path) == 2
    assert names(tmp_path) == []


def test_files_of_the_living_stay(tmp_path: Path):
    make(tmp_path, SEGMENT, f'{SEGMENT}_el')
    with (tmp_path / f'{SEGMENT}_el').open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert remove_leftovers(tmp_path) == 0
    assert names(tmp_path) == [SEGMENT, f'{SEGMENT}_el']


def test_a_port_that_nobody_reads_or_writes_is_removed(tmp_path: Path):
    make(tmp_path, 'fastrtps_port7411', 'sem.fastrtps_port7411_mutex')
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == []


def test_a_port_that_another_process_has_open_stays(tmp_path: Path):
    port = tmp_path / 'fastrtps_port7411'
    port.write_bytes(bytes(4096))
    program = f"""
import mmap
with open({str(port)!r}, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
    print('open', flush=True)
    input()
"""
    command = [sys.executable, '-c', program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert remove_leftovers(tmp_path) == 0
    assert port.exists()
    assert remove_leftovers(tmp_path) == 1


def test_files_of_others_stay(tmp_path: Path):
    make(tmp_path, 'sem.mine', 'fastrtps_el', 'fastrtps_0123_el', SEGMENT)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(['sem.mine', 'fastrtps_el', 'fastrtps_0123_el', SEGMENT])


def test_a_system_without_shared_memory_is_left_alone(tmp_path: Path):
    assert remove_leftovers(tmp_path / 'none') == 0
