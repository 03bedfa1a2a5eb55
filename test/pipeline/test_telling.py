"""What is told in words."""

import numpy as np

from vla_ros.pipeline.look import look_at
from vla_ros.pipeline.reason import Reason
from vla_ros.pipeline.telling import command_lines, look_lines, state_lines


def test_a_command_that_was_read_as_typed_is_told_once():
    assert command_lines('Grab it!', ('[CLS]', 'grab', 'it', '!', '[SEP]')) == ['Grab it!']


def test_words_that_were_replaced_are_told():
    lines = command_lines('grab the crimson one', ('grab', 'the', 'red', 'one'))
    assert lines == ['grab the crimson one', 'read as: grab the red one']


def test_a_command_whose_pieces_nobody_told_is_told_as_typed():
    assert command_lines('grab it', ()) == ['grab it']


def test_attention_that_is_nowhere_names_no_word_and_is_diffuse():
    nothing = look_at(np.zeros((2, 3, 3), np.float32), ('red', 'ball'))
    assert look_lines(nothing, 'attention') == ['attention diffuse: 1.00']


def test_a_reason_is_told_by_its_code_and_its_meaning():
    assert state_lines('running', 'ok') == ['running']
    assert state_lines('holding', 'image_old') == ['holding: image_old', Reason.IMAGE_OLD.doc]
    assert state_lines('holding', 'of the future') == ['holding: of the future']
