"""
Clearing away the shared memory that killed Fast DDS participants leave behind.

A process that ends in order removes its files itself; one that is killed leaves some tens of MB.
Fast DDS holds a lock on one file beside each segment and port while its owner lives.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
import re

_FOLDER = Path('/dev/shm')
_LOCK_FILE = re.compile(r'(fastrtps|fastdds)_(port\d{1,5}|[0-9a-z]{16})_(el|sl)')


def remove_leftovers(folder: Path = _FOLDER) -> int:
    """Remove the files of dead owners; return how many segments and ports that were."""
    if not folder.is_dir():
        return 0
    locks = [path for path in folder.iterdir() if _LOCK_FILE.fullmatch(path.name)]
    return sum(_remove_if_dead(lock) for lock in locks)


def _remove_if_dead(lock: Path) -> bool:
    segment = lock.with_name(lock.name[:-3])
    try:
        with lock.open('ab') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in (segment, lock, lock.with_name(f'sem.{segment.name}_mutex')):
                path.unlink(missing_ok=True)
    except OSError:  # the owner lives, or it is another user's
        return False
    return True
