"""The list of commands."""

from vla_ros.web.history import History, KEPT


def status(stamp: int, state: str = 'running', reason: str = 'ok') -> dict[str, str]:
    return {'command_stamp_ns': str(stamp), 'command': 'go', 'state': state, 'reason': reason}


def test_before_the_first_command_it_is_empty():
    history = History()
    history.note({'command': '', 'command_stamp_ns': '0', 'state': 'idle'})
    assert history.entries() == []


def test_a_command_keeps_its_last_outcome():
    history = History()
    history.note(status(1))
    history.note(status(1, 'succeeded', 'task_done'))
    assert [entry['state'] for entry in history.entries()] == ['succeeded']


def test_the_same_words_again_are_another_command():
    history = History()
    history.note(status(1))
    history.note(status(2))
    assert [entry['stamp'] for entry in history.entries()] == ['1', '2']


def test_only_the_newest_are_kept():
    history = History()
    for stamp in range(1, KEPT + 5):
        history.note(status(stamp))
    assert len(history.entries()) == KEPT
