from dataclasses import replace

import numpy as np
import pytest
import torch

from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import OBJECT_NAMES
from vla_ros.sim.tasks import KINDS
from vla_ros.training.config import load_config
from vla_ros.training.demonstrations import (
    draw_task,
    episode,
    ExpertActor,
    frame_dtype,
)

CONFIG = replace(load_config().demonstrations, image_size=32, episode_s=1.0, labels_per_frame=5)


def frames(seed=0, config=CONFIG):
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    return np.array(
        list(episode(TabletopEnv(32), ExpertActor(config, rng), config, rng)), frame_dtype(config)
    )


@pytest.fixture(scope='module')
def some():
    return frames()


def test_every_second_picture_is_kept(some):
    assert len(some) == 5


def test_the_same_seed_gives_the_same_frames(some):
    assert some.tobytes() == frames().tobytes()


def test_another_seed_gives_another_scene(some):
    assert not np.array_equal(some['image'][0], frames(1)['image'][0])


def test_labels_are_for_objects_that_are_in_the_scene(some):
    for frame in some:
        assert np.isfinite(frame['object_xyz'][frame['labels']['object']]).all()


def test_the_robots_own_task_is_labelled_first_and_stays(some):
    first = some['labels'][:, 0]
    assert len({(label['kind'], label['object'], label['zone']) for label in first}) == 1


def test_an_object_is_drawn_where_its_pixel_says(some):
    for index in np.flatnonzero(np.isfinite(some[0]['object_px'][:, 0])):
        u, v = some[0]['object_px'][index]
        colour = OBJECT_NAMES[index].split()[0]
        if colour in ('red', 'green', 'blue'):
            pixel = some[0]['image'][round(float(v)), round(float(u))]
            assert pixel.argmax() == ('red', 'green', 'blue').index(colour)


def test_an_undisturbed_expert_goes_where_it_says():
    config = replace(CONFIG, disturbed_share=0.0, reinstruct_share_per_s=0.0, episode_s=0.8)
    some = frames(config=config)
    goal = some['labels']['position'][0, 0]
    distance = np.linalg.norm(some['state'][:, :3] - goal, axis=1)
    assert distance[-1] < distance[0]


def test_every_kind_of_task_is_drawn():
    env = TabletopEnv(32)
    from vla_ros.sim.tasks import possible_tasks

    rng = np.random.default_rng(0)
    tasks = possible_tasks(env.scene)
    assert {draw_task(tasks, rng).kind for _ in range(60)} == set(KINDS)
