"""Leftovers of killed participants."""

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import subprocess
import sys

from vla_ros.shared_memory import peer_segments_bytes, remove_leftovers, remove_stale_locks

SEGMENT = 'fastrtps_0123456789abcdef'
PORT = 'fastrtps_port7411'


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text('')
        os.utime(folder / name, (0, 0))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """As a living owner does."""
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_of_the_dead_are_removed(tmp_path: Path):
    make(tmp_path, SEGMENT, f'{SEGMENT}_el')
    make(tmp_path, 'fastrtps_port7411', 'fastrtps_port7411_el', 'sem.fastrtps_port7411_mutex')
    assert remove_leftovers(tmp_path) == 2
    assert names(tmp_path) == []


def test_files_of_the_living_stay(tmp_path: Path):
    make(tmp_path, SEGMENT, f'{SEGMENT}_el')
    with locked(tmp_path / f'{SEGMENT}_el'):
        assert remove_leftovers(tmp_path) == 0
    assert names(tmp_path) == [SEGMENT, f'{SEGMENT}_el']


def test_a_segment_that_is_being_made_stays(tmp_path: Path):
    make(tmp_path, SEGMENT, f'{SEGMENT}_el')
    os.utime(tmp_path / f'{SEGMENT}_el')  # its owner locks it next
    assert remove_leftovers(tmp_path) == 0
    assert names(tmp_path) == [SEGMENT, f'{SEGMENT}_el']


def test_a_free_lock_beside_a_living_port_goes_alone(tmp_path: Path):
    for remove in (remove_leftovers, remove_stale_locks):
        make(tmp_path, PORT, f'{PORT}_el', f'{PORT}_sl', f'sem.{PORT}_mutex')
        with locked(tmp_path / f'{PORT}_el'):
            remove(tmp_path)
        assert names(tmp_path) == [PORT, f'{PORT}_el', f'sem.{PORT}_mutex']


def test_two_free_locks_are_of_a_dead_port_which_fast_dds_replaces_itself(tmp_path: Path):
    make(tmp_path, PORT, f'{PORT}_el', f'{PORT}_sl')
    remove_stale_locks(tmp_path)
    assert names(tmp_path) == [PORT, f'{PORT}_el', f'{PORT}_sl']


def test_a_port_that_nobody_reads_or_writes_is_removed(tmp_path: Path):
    make(tmp_path, 'fastrtps_port7411', 'sem.fastrtps_port7411_mutex')
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == []


def test_a_port_that_another_process_has_open_stays(tmp_path: Path):
    port = tmp_path / PORT
    port.write_bytes(bytes(4096))
    make(tmp_path, f'{PORT}_el')  # its reader is dead, a writer is not
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
    assert names(tmp_path) == [PORT, f'{PORT}_el']
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == []


def test_files_of_others_stay(tmp_path: Path):
    make(tmp_path, 'sem.mine', 'fastrtps_el', 'fastrtps_0123_el', SEGMENT)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(['sem.mine', 'fastrtps_el', 'fastrtps_0123_el', SEGMENT])


def test_a_system_without_shared_memory_is_left_alone(tmp_path: Path):
    assert remove_leftovers(tmp_path / 'none') == 0
    remove_stale_locks(tmp_path / 'none')


def test_the_segments_of_others_are_those_that_are_read_and_not_owned(tmp_path: Path):
    process, shared = tmp_path / '17', tmp_path / 'shm'
    (process / 'fd').mkdir(parents=True)
    shared.mkdir()
    theirs = 'fastrtps_fedcba9876543210'
    for name, size in (
        (SEGMENT, 900),
        (theirs, 500),
        (PORT, 50),
        ('fastrtps_0000000000000000', 9),
    ):
        (shared / name).write_bytes(bytes(size))
    (process / 'fd' / '5').symlink_to(shared / f'{SEGMENT}_el')
    rows = [f'7f00-7f01 rw-s 00000000 00:1a 12   {shared}/{n}' for n in (SEGMENT, theirs, PORT)]
    (process / 'maps').write_text('\n'.join(rows))
    assert peer_segments_bytes(shared, process) == {theirs: 500}


def test_where_processes_cannot_be_looked_at_nothing_is_known(tmp_path: Path):
    assert peer_segments_bytes(tmp_path, tmp_path / 'nowhere') == {}
