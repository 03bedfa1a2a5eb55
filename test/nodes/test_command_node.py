from dataclasses import fields

import numpy as np
import pytest
from rclpy.parameter import Parameter
from std_msgs.msg import String

from vla_ros.nodes import wiring
from vla_ros.nodes.command_node import _stamp_after, CommandNode
from vla_ros.nodes.conversions import command_from_message
from vla_ros.nodes.params import CommandParams
from vla_ros.pipeline.command import CommandError, is_stop, MAX_BYTES, normalise

pytestmark = pytest.mark.ros


class CountingEncoder:
    """One token a word, holding the word's length."""

    def __init__(self):
        self.calls = 0

    def encode(self, text):
        self.calls += 1
        if len(text.split()) > 5:
            raise CommandError('too_long', f'command has {len(text.split())} tokens; 5 fit')
        return np.array([[len(word), 0.0, 1.0] for word in text.split()], np.float32)

    def pieces(self, text):
        return tuple(text.replace('crimson', 'red').split())


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
def say(graph, encoder):
    """Send a text and return the command that the node makes of it."""
    graph.add(CommandNode(encoder, parameter_overrides=[Parameter('max_bytes', value=64)]))
    embeddings = graph.listen(wiring.COMMAND_EMBEDDING)

    def send(text):
        count = len(embeddings)
        graph.publish(wiring.COMMAND, String(data=text))
        graph.until(lambda: len(embeddings) > count)
        return command_from_message(embeddings[-1])

    return send


def test_a_command_is_normalised_and_encoded(say):
    command = say('  pick   the red\tblock ')
    assert command.text == 'pick the red block'
    np.testing.assert_array_equal(command.tokens[:, 0], [4, 3, 3, 5])


def test_the_same_text_again_is_a_new_command_but_is_not_encoded_again(say, encoder):
    first, second = say('pick the ball'), say('pick the ball')
    assert second.stamp_ns > first.stamp_ns
    np.testing.assert_array_equal(first.tokens, second.tokens)
    assert encoder.calls == 1


def test_the_words_as_they_were_read_travel_with_the_command(say):
    command = say('pick the crimson ball')
    assert command.text == 'pick the crimson ball'
    assert command.pieces == ('pick', 'the', 'red', 'ball')


@pytest.mark.parametrize('text', ['', '   ', 'stop', 'STOP!', 'pick\x1b[2J', 'x' * 65, '\ufffd'])
def test_nothing_to_do_and_nothing_acceptable_mean_hold(say, text):
    say('pick the ball')
    command = say(text)
    assert command.is_empty
    assert command.text == ''


def test_a_command_after_a_stop_is_encoded_again(say):
    say('pick the ball')
    say('stop')
    assert len(say('pick the ball').tokens) == 3


def test_the_newest_command_reaches_who_joins_later(say, graph):
    say('pick the ball')
    late = graph.listen(wiring.COMMAND_EMBEDDING)
    graph.until(lambda: late)
    assert command_from_message(late[0]).text == 'pick the ball'


@pytest.mark.parametrize('text', ['x' * 65, 'pick up the one red ball'])
def test_rejected_commands_are_counted_by_reason(say, graph, text):
    health = graph.listen(wiring.DIAGNOSTICS)
    assert say(text).is_empty

    def rejected():
        return health and {v.key: v.value for v in health[-1].status[0].values}

    graph.until(lambda: (rejected() or {}).get('rejected_too_long') == '1')


def test_text_that_counts_as_a_stop_for_its_length_cannot_be_allowed():
    assert {f.name: f for f in fields(CommandParams)}['max_bytes'].metadata['le'] == MAX_BYTES
    assert is_stop('pick' + ' ' * 16 * MAX_BYTES)
    with pytest.raises(CommandError):
        normalise('pick' + ' ' * 16 * MAX_BYTES)


@pytest.mark.parametrize(
    ('last_ns', 'now_ns', 'stamp_ns'),
    [
        (10**9, 2 * 10**9, 2 * 10**9),
        (10**9, 10**9, 10**9 + 1),
        (10**9 + 40_000_000, 10**9, 10**9 + 40_000_001),
        (10**10, 10**9, 10**9),
    ],
)
def test_every_command_is_newer_than_the_last_until_the_clock_jumps_back(
    last_ns: int, now_ns: int, stamp_ns: int
):
    assert _stamp_after(last_ns, now_ns) == stamp_ns
