"""What the policy sees and what the robot does, in a few short lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from vla_ros.pipeline.look import Look
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.words import differs, reading, words_of

_MEANING = {reason.value: reason.doc for reason in Reason}


def command_lines(text: str, pieces: Sequence[str]) -> list[str]:
    """Return the command, and how it was read if that is not how it was typed."""
    read = reading(words_of(pieces))
    return [text, f'read as: {read}'] if read and differs(read, text) else [text]


def look_lines(look: Look, source: str) -> list[str]:
    """Return the word with most attention, and whether the attention tells anything."""
    lines = []
    if look.top_word is not None:
        share = 100.0 * look.shares[look.top_word]
        lines.append(f'most attended: {look.words[look.top_word].text} ({share:.0f} %)')
    kind = 'diffuse' if look.is_diffuse else 'spread'
    return [*lines, f'{source} {kind}: {look.spread:.2f}']


def state_lines(state: str, reason: str) -> list[str]:
    """Return the state and, unless all is well, why and what that means."""
    if reason == Reason.OK.value:
        return [state]
    return [f'{state}: {reason}', *([_MEANING[reason]] if reason in _MEANING else [])]
