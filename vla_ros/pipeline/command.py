"""
Typed commands: what may reach the policy, what means stop, and what may reach a log.

Text is an untrusted input. It leaves here as one short line of visible characters or not at all.
"""

from __future__ import annotations

import unicodedata

#: UTF-8 bytes of a normalised command.
MAX_BYTES = 512

#: A command that begins with one of these is a stop, whatever follows: "stop moving".
_STOP_WORDS = frozenset({'stop', 'halt', 'freeze', 'cancel', 'abort', 'estop'})
#: These are one only if nothing else is said: "hold on" is none, it may be a task.
_PAUSE_WORDS = frozenset({'hold', 'pause', 'wait'})
_FILLERS = frozenset(
    {'please', 'now', 'it', 'robot', 'immediately', 'emergency', 'e', 'no', 'ok', 'okay', 'hey'}
)
#: Who says what not to do wants no motion, whatever it is.
_NEGATIONS = (('don', 't'), ('dont',), ('do', 'not'), ('never',))


class CommandError(ValueError):
    """A command that is not run; ``reason`` is a short code for counters and status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def normalise(text: str, max_bytes: int = MAX_BYTES) -> str:
    """
    Return ``text`` as one line: NFC, trimmed, single spaces, without invisible characters.

    Zero-width and bidirectional formatting is removed, since a reader does not see it. Raises
    CommandError with reason ``too_long``, ``bad_unicode`` or ``control_character``.
    """
    # Bounds the work: normalised text of max_bytes has no honest source so much longer.
    if len(text) > 16 * max_bytes:
        raise CommandError('too_long', f'command has {len(text)} characters; {max_bytes} fit')
    line = ' '.join(text.split())
    for character in line:
        category = unicodedata.category(character)
        if category == 'Cc':
            raise CommandError(
                'control_character', f'command has the control character {printable(character)}'
            )
        # Halves of a pair, private use, unassigned: nobody sees what these say.
        if category in ('Cs', 'Co', 'Cn') or character == '\ufffd':
            raise CommandError('bad_unicode', 'command is not valid Unicode text')
    visible = ''.join(c for c in line if unicodedata.category(c) != 'Cf')
    normal = ' '.join(unicodedata.normalize('NFC', visible).split())
    size = len(normal.encode('utf-8'))
    if size > max_bytes:
        raise CommandError('too_long', f'command has {size} bytes; {max_bytes} fit')
    return normal


def is_stop(text: str) -> bool:
    """
    Return whether ``text`` asks to hold: nothing to read in it, or a stop or "don't" in front.

    Never raises. Case, punctuation, symbols and invisible characters do not matter: ``'STOP!'``
    and ``'please stop moving'`` are stops, ``'push the ball to the stop'`` is not.
    """
    if len(text) > 16 * MAX_BYTES:  # more than any command: nothing to run in it either
        return True
    folded = unicodedata.normalize('NFKC', text).casefold()
    # Invisible characters and marks do not split a word; punctuation, symbols and spaces do.
    visible = [c for c in folded if c.isspace() or unicodedata.category(c)[0] not in 'CM']
    words = ''.join(c if c.isalnum() else ' ' for c in visible).split()
    said = [word for word in words if word not in _FILLERS]
    if not said:
        return True
    if any(tuple(said[: len(negation)]) == negation for negation in _NEGATIONS):
        return True
    return said[0] in _STOP_WORDS or all(word in _PAUSE_WORDS for word in said)


def printable(text: str, max_characters: int = 120) -> str:
    """Return ``text`` for a log or a terminal: invisible characters escaped, long text cut."""
    cut = text if len(text) <= max_characters else text[: max_characters - 1] + '…'
    return ''.join(
        c if c.isprintable() else c.encode('unicode_escape').decode('ascii') for c in cut
    )
