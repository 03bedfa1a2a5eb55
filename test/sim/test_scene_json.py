import json

import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.sim.scene import sample_scene
from vla_ros.sim.scene_json import scene_from_json, scene_to_json


@pytest.fixture
def document():
    return json.loads(scene_to_json(sample_scene(np.random.default_rng(1))))


def test_a_scene_comes_back_as_it_was():
    scene = sample_scene(np.random.default_rng(0))
    assert scene_from_json(scene_to_json(scene)) == scene


@pytest.mark.parametrize('text', ['', 'scene', '[]', '{}', '[' * 100_000])
def test_what_is_no_scene_is_refused(text):
    with pytest.raises(ConfigurationError, match='scene: .*; expected what'):
        scene_from_json(text)


def test_two_of_a_name_are_refused(document):
    document['objects'][1] = document['objects'][0]
    with pytest.raises(ConfigurationError, match='expected one of each name'):
        scene_from_json(json.dumps(document))


def test_an_unknown_object_is_refused(document):
    document['objects'][0]['colour'] = 'mauve'
    with pytest.raises(ConfigurationError, match="unknown object 'mauve"):
        scene_from_json(json.dumps(document))


@pytest.mark.parametrize(
    ('x', 'reason'), [(9.0, 'is outside'), (float('nan'), 'not finite')], ids=str
)
def test_a_place_that_the_robot_cannot_reach_is_refused(document, x, reason):
    document['objects'][0]['x'] = x
    with pytest.raises(ConfigurationError, match=reason):
        scene_from_json(json.dumps(document))
