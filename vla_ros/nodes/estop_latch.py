"""The e-stop's memory: a file that is there while the e-stop is latched."""

from __future__ import annotations

from pathlib import Path
import re

from vla_ros.domain import domain_id
from vla_ros.paths import state_dir


def latch_path(node_name: str) -> Path:
    """
    Return where the node of this full name keeps its latch, one a ROS domain.

    Raises ConfigurationError for a user without a home folder.
    """
    name = re.sub(r'\W+', '.', node_name.strip('/'))
    return state_dir() / f'estop_{domain_id()}_{name}'


class EstopLatch:
    """
    Remembers, beyond the end of the process, that the e-stop is latched.

    What cannot be read counts as latched.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.stat()
            self.is_set = True
        except FileNotFoundError:
            self.is_set = False
        except OSError:
            self.is_set = True

    def set(self, latched: bool) -> None:
        """Remember it; raises OSError if it cannot be, and tries again only after a change."""
        if latched == self.is_set:
            return
        self.is_set = latched
        if latched:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text('The e-stop is latched: "vla-ros reset --estop" releases it.\n')
        else:
            self._path.unlink(missing_ok=True)
