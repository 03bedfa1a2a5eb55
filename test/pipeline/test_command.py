from hypothesis import given, strategies
import pytest

from vla_ros.pipeline.command import CommandError, is_stop, normalise, printable


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('pick up the red block', 'pick up the red block'),
        ('  pick\tup \n the\u00a0block ', 'pick up the block'),
        ('cafe\u0301', 'caf\u00e9'),
        ('pi\u200bck', 'pick'),
        ('\u202epick\u202c', 'pick'),
        ('pick \u200b up', 'pick up'),
        ('\ufeffpick', 'pick'),
        ('', ''),
        (' \u200b ', ''),
        ('Ünïcode 机器人 🤖', 'Ünïcode 机器人 🤖'),
    ],
)
def test_command_becomes_one_visible_line(text, line):
    assert normalise(text) == line


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('pick\x00up', 'control_character'),
        ('\x1b[31mpick', 'control_character'),
        ('pick\x7f', 'control_character'),
        ('pick' + chr(0xD800), 'bad_unicode'),
        ('pick\ufffd', 'bad_unicode'),
        ('pick\ue000', 'bad_unicode'),
        ('pick' + chr(0xE0FFF), 'bad_unicode'),
        ('a' * 513, 'too_long'),
        ('é' * 257, 'too_long'),
        ('a' * 10_000_000, 'too_long'),
    ],
    ids=[
        'nul',
        'ansi',
        'delete',
        'surrogate',
        'replacement',
        'private',
        'unassigned',
        '513 B',
        '514 B',
        '10 MB',
    ],
)
def test_command_is_refused_with_a_reason(text, reason):
    with pytest.raises(CommandError) as caught:
        normalise(text)
    assert caught.value.reason == reason
    assert str(caught.value).isprintable()


def test_longest_command_fits():
    assert len(normalise('a' * 512)) == 512


def test_limit_can_be_chosen():
    with pytest.raises(CommandError, match='6 bytes; 5 fit'):
        normalise('abcdef', max_bytes=5)


@given(strategies.text(strategies.characters()))
def test_normalised_text_stays_as_it_is(text):
    try:
        line = normalise(text)
    except CommandError:
        return
    assert normalise(line) == line


@pytest.mark.parametrize(
    'text',
    [
        *['', ' ', '\n', '\u200b', '?!', '🛑', '\x00'],
        *['stop', 'STOP!', ' Stop. ', 'st\u200bop', 'ｓｔｏｐ', 'st\x00op', 'stop!stop!stop!'],
        *['halt', 'freeze', 'cancel', 'abort', 'please stop', 'stop now', 'stop it, please'],
        *['stop moving', 'emergency stop', 'E-STOP', 'robot, stop', 'cancel that'],
        *['hold', 'wait', 'pause, please', 'hold it'],
        *['no, stop!', 'ok stop', "don't move", 'do not pick up the red block', 'dont'],
        'x' * 10_000_000,
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_text_that_means_stop(text):
    assert is_stop(text)


@pytest.mark.parametrize(
    'text',
    [
        'pick up the red block',
        'push the ball to the stop',
        'stopwatch',
        'hold the red block',
        'wait for the ball',
        'ok, pick up the ball',
    ],
)
def test_text_that_is_a_task(text):
    assert not is_stop(text)


@given(strategies.text(strategies.characters()))
def test_nothing_breaks_the_stop_test(text):
    assert is_stop(text) in (True, False)


@given(strategies.text(strategies.characters()))
def test_printable_text_is_printable(text):
    assert printable(text).isprintable()


def test_printable_shows_what_was_there():
    assert printable('a\x1b[31m\u202eb\ud800') == 'a\\x1b[31m\\u202eb\\ud800'


def test_printable_cuts_long_text():
    assert printable('a' * 200, max_characters=5) == 'aaaa…'


def test_printable_keeps_other_scripts():
    assert printable('机器人 é') == '机器人 é'
