"""
The shared memory of Fast DDS participants: what those that were killed leave behind, and its size.

A process that ends in order removes its files itself; one that is killed leaves some tens of MB,
and its peers, when they end, small ports that nobody reads. One that is killed while it opens a
port of another leaves a free lock beside it, and whoever opens the port next takes its reader for
dead: it puts a new file in its place, which nobody reads, and is never heard by that reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
import fcntl
import os
from pathlib import Path
import re
import time

_FOLDER = Path('/dev/shm')
# Fast DDS holds a lock on one file beside each segment and port while its owner lives. Whoever
# opens a port tries both files, so for microseconds there is a free one beside a living port.
_LOCK_FILE = re.compile(r'fast(rtps|dds)_(port\d{1,5}|[0-9a-z]{16})_(el|sl)')
_SEGMENT_FILE = re.compile(r'fast(rtps|dds)_[0-9a-z]{16}')
_PORT_FILE = re.compile(r'fast(rtps|dds)_port\d{1,5}')
#: A segment's owner that has just made its file may not have locked it yet.
_NEW_S = 2.0


def remove_leftovers(folder: Path = _FOLDER) -> int:
    """
    Remove the files of dead owners; return how many segments and ports that were.

    A port goes when none of its locks is held and no process has it in its memory; of a living
    one the free locks go.
    """
    names = _names(folder)
    locks = {name for name in names if _LOCK_FILE.fullmatch(name)}
    ports = {name for name in names if _PORT_FILE.fullmatch(name)}
    with ExitStack() as held:  # to the end, or the files of a new owner would go with the old
        free = {name for name in locks if held.enter_context(_lock(folder / name))}
        alive = {_owner(name) for name in locks - free}
        dead = (ports | {_owner(name) for name in free}) - alive
        if dead & ports:
            dead -= ports & _mapped(folder)
            # Meanwhile a port without a lock may have got a reader.
            dead -= {_owner(name) for name in _names(folder) - free if _LOCK_FILE.fullmatch(name)}
        for name in (*dead, *(f'sem.{name}_mutex' for name in dead)):
            _unlink(folder / name)
        for name in free:
            if _owner(name) in dead | alive:
                _unlink(folder / name)
    return len(dead)


def remove_stale_locks(folder: Path = _FOLDER) -> None:
    """Remove the free locks beside living ports, which would cut the ports' readers off."""
    names = _names(folder)
    for port in filter(_PORT_FILE.fullmatch, names):
        locks = [folder / f'{port}_{kind}' for kind in ('el', 'sl')]
        if {lock.name for lock in locks} <= names:
            with _lock(locks[0]) as first, _lock(locks[1]) as second:
                if first != second:
                    _unlink(locks[0] if first else locks[1])


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _owner(lock: str) -> str:
    return lock[:-3]


def _unlink(path: Path) -> None:
    with suppress(OSError):  # another user's, or gone already
        path.unlink()


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a dead owner's file; yield whether it is one."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open('rb'))  # not to be made anew if it has just gone
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked, there = os.fstat(file.fileno()), path.stat()
            is_new = not _PORT_FILE.match(path.name) and time.time() - locked.st_mtime < _NEW_S
            is_dead = os.path.samestat(locked, there) and not is_new
        except OSError:  # its owner lives, or it is another user's, or gone
            is_dead = False
        yield is_dead


def _mapped(folder: Path) -> set[str]:
    """Return the names of the files of a folder that another process has in its memory."""
    mapped: set[str] = set()
    for maps in Path('/proc').glob('[0-9]*/maps'):
        if maps.parent.name != str(os.getpid()):  # what this process reads has its lock
            with suppress(OSError):
                mapped |= _in_maps(maps, folder)
    return mapped


def _in_maps(maps: Path, folder: Path) -> set[str]:
    return set(re.findall(rf' {folder}/(\S+)$', maps.read_text(), re.MULTILINE))


def peer_segments_bytes(
    folder: Path = _FOLDER, process: Path = Path('/proc/self')
) -> dict[str, int]:
    """
    Return the segments of other processes that ``process`` reads, and their sizes.

    What a process sends must fit into its own segment, or most of it is lost without a word.
    """
    with suppress(OSError):  # no Linux
        opened = {os.path.basename(os.path.realpath(file)) for file in (process / 'fd').iterdir()}
        mapped = filter(_SEGMENT_FILE.fullmatch, _in_maps(process / 'maps', folder))
        # An owner has the lock beside its segment open; another opens locks only to try them.
        others = [name for name in mapped if f'{name}_el' not in opened]
        return {name: (folder / name).stat().st_size for name in others}
    return {}
