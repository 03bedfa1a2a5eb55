import numpy as np
from PIL import Image
import pytest

from vla_ros.evaluation import pictures


@pytest.fixture
def scene():
    frames = [np.full((24, 24, 3), 20 * i, np.uint8) for i in range(10)]
    return pictures.Scene('pick up the red block', 'obeyed in 2.1 s', True, frames, frames[::-1])


def test_a_contact_sheet_shows_first_and_last_frame_of_each_row(scene):
    sheet = pictures.contact_sheet([scene, scene], columns=5, tile_px=24)
    assert sheet.shape[1] == 5 * 24 + 24
    first, last = sheet[72, 24], sheet[72, 24 + 4 * 24]
    assert first.tolist() == [0, 0, 0]
    assert last.tolist() == [180, 180, 180]


def test_a_command_without_frames_still_has_its_caption(scene):
    sheet = pictures.contact_sheet([pictures.Scene('go', 'no frames', False, [], [])], tile_px=24)
    assert (sheet != np.array([250, 250, 248])).any()


def test_a_long_caption_does_not_run_into_the_outcome_or_out_of_the_sheet():
    long = pictures.Scene('w' * 60, 'm' * 60, False, [], [])
    sheet = pictures.contact_sheet([long], columns=6, tile_px=112)
    paper = (sheet == np.array([250, 250, 248])).all(axis=2)
    assert paper[:, -12:].all()
    lines = np.diff(np.flatnonzero(~paper[:60].all(axis=1)))
    assert (lines > 1).sum() == 1  # one gap, between two lines of letters


def test_a_film_can_be_read_back_with_all_its_frames(scene, tmp_path):
    av = pytest.importorskip('av')
    path = tmp_path / 'film.mp4'
    pictures.write_film(path, pictures.film_frames(scene, tile_px=64), rate_hz=10)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10


def test_an_animation_loops_over_its_frames(scene, tmp_path):
    path = tmp_path / 'film.gif'
    pictures.write_animation(path, pictures.film_frames(scene, tile_px=64), rate_hz=10)
    with Image.open(path) as image:
        assert image.n_frames == 10
        assert image.info['loop'] == 0


def test_a_film_keeps_the_words_below_the_attention_and_the_shape_of_both():
    tall = np.full((31, 24, 3), 90, np.uint8)
    tall[24:] = 200
    scene = pictures.Scene('go', 'done', True, [tall[:24]], [tall])
    (frame,) = pictures.film_frames(scene, tile_px=48)
    assert (frame[:40, 4:92] == 90).all()
    assert (frame[52:60, 52:92] == 200).all()
    assert frame.shape[0] % 2 == 0
