"""The picture with the words below it."""

import cv2
import numpy as np

from vla_ros.pipeline.heat_map import picture, strip_height_px
from vla_ros.pipeline.look import look_at

IMAGE = np.full((96, 96, 3), 50, np.uint8)
PIECES = ['[CLS]', 'put', 'the', 'red', 'ball', 'into', 'the', 'green', 'zone', '[SEP]']


def look(pieces, word='all'):
    planes = np.zeros((len(pieces), 24, 24), np.float32)
    planes[:, 6, 18] = np.arange(len(pieces))
    return look_at(planes, pieces, word)


def strip(made):
    return made[384:].astype(int)


def test_the_words_stand_below_the_heat_map_which_keeps_its_size():
    made = picture(IMAGE, look(PIECES))
    assert made.shape == (384 + strip_height_px(384), 384, 3)
    assert made[104, 296].min() > 100
    assert (strip(made) > 200).any()


def test_the_picture_has_one_size_for_every_command():
    long = ['[CLS]', *['tumultuous'] * 29, '[SEP]']
    assert picture(IMAGE, look(long)).shape == picture(IMAGE, look(PIECES)).shape


def test_the_word_that_is_shown_is_framed():
    chosen, other = (picture(IMAGE, look(PIECES, word)) for word in ('0', '1'))
    first_word = np.s_[4:40, 4:60]
    assert (strip(chosen)[first_word] != strip(other)[first_word]).any()


def test_shares_are_legible_at_224_pixels():
    """Letters keep enough contrast when the picture is shown at that width."""
    made = picture(IMAGE, look(PIECES))
    small = cv2.resize(
        made, (224, 224 * made.shape[0] // made.shape[1]), interpolation=cv2.INTER_AREA
    )
    shares = small[224 + 14 : 224 + 24].astype(int)
    assert shares.max() - shares.min() > 90


def test_diffuse_attention_is_told_in_the_colour_of_warnings():
    even = look_at(np.ones((3, 24, 24), np.float32))
    warning = np.abs(strip(picture(IMAGE, even)) - (255, 176, 64)).max(axis=2) < 30
    assert warning.any()
    focused = strip(picture(IMAGE, look(PIECES)))[-20:]
    assert not (np.abs(focused - (255, 176, 64)).max(axis=2) < 30).any()


def test_words_of_other_scripts_do_not_end_it():
    assert picture(IMAGE, look(['[CLS]', '红', '[SEP]'])).shape[1] == 384
