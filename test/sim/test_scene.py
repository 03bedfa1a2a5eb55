from itertools import combinations

import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.sim.scene import sample_scene, ZONE_RADIUS_M


def test_the_same_seed_gives_the_same_scene():
    assert sample_scene(np.random.default_rng(7)) == sample_scene(np.random.default_rng(7))


def test_scenes_hold_four_to_six_different_objects_and_two_zones():
    for seed in range(50):
        scene = sample_scene(np.random.default_rng(seed))
        names = [o.name for o in scene.objects]
        assert 4 <= len(names) <= 6
        assert len(set(names)) == len(names)
        assert len({z.colour for z in scene.zones}) == 2


def test_objects_keep_their_distance_from_each_other_and_from_zones():
    for seed in range(50):
        scene = sample_scene(np.random.default_rng(seed))
        for a, b in combinations(scene.objects, 2):
            assert np.hypot(a.x - b.x, a.y - b.y) > 0.1
        for zone in scene.zones:
            for o in scene.objects:
                assert np.hypot(o.x - zone.x, o.y - zone.y) > ZONE_RADIUS_M + 0.03


def test_required_and_forbidden_names_are_obeyed():
    for seed in range(20):
        scene = sample_scene(
            np.random.default_rng(seed), ['red block', 'blue ball'], ['green'], ['red ball']
        )
        names = {o.name for o in scene.objects}
        assert {'red block', 'blue ball'} <= names
        assert 'red ball' not in names
        assert scene.zone('green').colour == 'green'


def test_an_unknown_object_is_refused_with_the_valid_names():
    with pytest.raises(ConfigurationError, match=r"'pink block'.*red.*block"):
        sample_scene(np.random.default_rng(0), ['pink block'])


def test_a_third_zone_is_refused():
    with pytest.raises(ConfigurationError, match='two zones'):
        sample_scene(np.random.default_rng(0), required_zones=['red', 'green', 'blue'])
