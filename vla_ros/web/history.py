"""The commands that were given, by whomever, and what became of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

KEPT = 30


class History:
    """Made of what the pose node tells on vla/status; the newest command is last."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, str]] = deque(maxlen=KEPT)

    def note(self, status: Mapping[str, str]) -> None:
        """Take in the values of one status."""
        stamp, command = status.get('command_stamp_ns', ''), status.get('command', '')
        if not command or not stamp.strip('0'):
            return
        entry = {
            'stamp': stamp,
            'command': command,
            'state': status.get('state', ''),
            'reason': status.get('reason', ''),
        }
        if self._entries and self._entries[-1]['stamp'] == stamp:
            self._entries[-1] = entry
        else:
            self._entries.append(entry)

    def entries(self) -> Sequence[Mapping[str, str]]:
        return list(self._entries)
