from dataclasses import replace

import numpy as np
import pytest
import torch

from vla_ros.sim.model import camera_model
from vla_ros.sim.scene import Look, OBJECT_NAMES
from vla_ros.sim.tasks import KINDS, Task
from vla_ros.training.batches import BatchConfig, Batches, mirror, on_table, TASKS
from vla_ros.training.config import load_config
from vla_ros.training.demonstrations import frame_dtype, ZONE_NAMES
from vla_ros.training.sentences import every_task, NO_TASK, SentenceBank

SIZE = 16
CONFIG = replace(load_config().demonstrations, image_size=SIZE, labels_per_frame=3)


def frames(count=6):
    """Return frames of noise with one object and one zone that every label is about."""
    rng = np.random.default_rng(0)
    some = np.zeros(count, frame_dtype(CONFIG))
    some['image'] = rng.integers(0, 256, some['image'].shape)
    some['state'] = rng.normal(size=(count, 8))
    for part in ('object_px', 'object_xyz', 'zone_px', 'zone_xy'):
        some[part] = np.nan
    some['object_px'][:, 4] = (3.0, 5.0)
    some['zone_px'][:, 2] = (9.0, 2.0)
    some['hand_px'] = (1.0, 2.0)
    some['labels']['kind'] = KINDS.index('put')
    some['labels']['object'] = 4
    some['labels']['zone'] = 2
    some['labels']['position'] = rng.normal(size=(count, 3, 3))
    some['labels']['yaw'] = 0.3
    some['labels']['done'] = True
    return some


def bank():
    """Return a bank with one token a task, whose feature is the number of its key."""
    keys = [*(task.key for task in every_task()), NO_TASK]
    features = np.zeros((len(keys), 2, 3), np.float16)
    features[:, 0] = np.arange(len(keys))[:, None]
    rows = {key: [i] for i, key in enumerate(keys)}
    return SentenceBank({}, rows, features, np.ones(len(keys), np.int64))


def batch(unrelated_share=0.0, step=0):
    config = BatchConfig(frames=8, commands=2, unrelated_share=unrelated_share)
    return Batches([frames(4), frames(6)], bank(), config, seed=1).batch(step)


def test_each_picture_comes_with_several_commands():
    got = batch()
    assert got.image.shape == (8, 1, 3, SIZE, SIZE)
    assert got.state.shape == (16, 8)
    assert got.text.shape == (16, 2, 3)


def test_the_same_step_gives_the_same_batch():
    for a, b in zip(batch(step=3), batch(step=3), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_another_step_gives_another_batch():
    assert not torch.equal(batch(step=3).image, batch(step=4).image)


def test_the_text_is_a_sentence_for_the_label():
    key = Task('put', OBJECT_NAMES[4], ZONE_NAMES[2]).key
    wanted = [task.key for task in every_task()].index(key)
    assert (batch().text[:, 0] == wanted).all()


def test_the_mask_covers_the_padding():
    assert batch().text_mask.tolist() == [[True, False]] * 16


def test_classes_say_what_the_words_mean():
    got = batch()
    assert (got.task == TASKS.index('put')).all()
    assert (got.zone == 2).all()
    assert (got.colour == 1).all()  # green block
    assert (got.shape == 1).all() == (OBJECT_NAMES[4].split()[1] == 'cylinder')


def test_told_something_unrelated_the_robot_is_to_stay():
    got = batch(unrelated_share=1.0)
    torch.testing.assert_close(got.position, got.state[:, :3])
    assert (got.task == 0).all()
    assert (got.done == 0).all()
    assert got.object_px.isnan().all()
    assert got.zone_px.isnan().all()


def test_mirroring_twice_changes_nothing():
    some = frames()
    assert mirror(mirror(some)).tobytes() == some.tobytes()


def test_a_mirrored_pixel_follows_its_picture():
    some = frames(1)
    u, v = some['object_px'][0, 4].astype(int)
    other = mirror(some)
    mirrored_u, _ = other['object_px'][0, 4].astype(int)
    np.testing.assert_array_equal(other['image'][0, v, mirrored_u], some['image'][0, v, u])


def test_a_mirrored_point_projects_to_the_mirrored_pixel():
    camera = camera_model(Look(), SIZE, SIZE)
    here, there = camera.project([[0.45, 0.12, 0.02], [0.45, -0.12, 0.02]])
    np.testing.assert_allclose(there, (SIZE - 1 - here[0], here[1]), atol=1e-9)


def test_pixels_are_measured_on_the_table():
    camera = camera_model(Look(), SIZE, SIZE)
    pixels = torch.from_numpy(camera.project([[0.4, 0.1, 0.022]]))
    np.testing.assert_allclose(on_table(pixels, camera, 0.022), [[0.4, 0.1]], atol=1e-6)


@pytest.mark.parametrize('count', [1, 3])
def test_every_frame_can_be_drawn(count):
    config = BatchConfig(frames=4, commands=1, unrelated_share=0.0)
    batches = Batches([frames(count)], bank(), config, seed=0)
    assert len(batches) == count
    assert batches.batch(0).image.shape[0] == 4
