"""
Clearing away the shared memory that killed Fast DDS participants leave behind.

A process that ends in order removes its files itself; one that is killed leaves some tens of MB,
and its peers, when they end, small ports that nobody reads.
"""

from __future__ import annotations

from contextlib import suppress
import fcntl
import os
from pathlib import Path
import re

_FOLDER = Path('/dev/shm')
# Fast DDS holds a lock on one file beside each segment and port while its owner lives.
_LOCK_FILE = re.compile(r'fast(rtps|dds)_(port\d{1,5}|[0-9a-z]{16})_(el|sl)')
_PORT_FILE = re.compile(r'fast(rtps|dds)_port\d{1,5}')


def remove_leftovers(folder: Path = _FOLDER) -> int:
    """Remove the files of dead owners; return how many segments and ports that were."""
    if not folder.is_dir():
        return 0
    names = {path.name for path in folder.iterdir()}
    dead = [name for name in names if _LOCK_FILE.fullmatch(name) and _unlocked(folder / name)]
    leftovers = {name[:-3] for name in dead}
    unread = {n for n in names if _PORT_FILE.fullmatch(n) and not {f'{n}_el', f'{n}_sl'} & names}
    if unread:
        leftovers |= unread - _mapped(folder)
    for name in (*dead, *leftovers, *(f'sem.{name}_mutex' for name in leftovers)):
        with suppress(OSError):  # another user's, or gone already
            (folder / name).unlink()
    return len(leftovers)


def _unlocked(path: Path) -> bool:
    try:
        with path.open('ab') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # its owner lives, or it is another user's
        return False
    return True


def _mapped(folder: Path) -> set[str]:
    """Return the names of the files of a folder that another process has in its memory."""
    mapped: set[str] = set()
    for maps in Path('/proc').glob('[0-9]*/maps'):
        if maps.parent.name != str(os.getpid()):  # what this process reads has its lock
            with suppress(OSError):
                mapped.update(re.findall(rf' {folder}/(\S+)', maps.read_text()))
    return mapped
