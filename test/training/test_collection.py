from dataclasses import replace

import numpy as np
import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.training.collection import collect, load_frames
from vla_ros.training.config import load_config

CONFIG = replace(
    load_config().demonstrations,
    image_size=16,
    render_sizes=(16,),
    episode_s=0.4,
    labels_per_frame=2,
    keep_every=1,
)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shards')
    return collect(folder, CONFIG, episodes=3, seed=5, workers=1, episodes_per_shard=2)


def test_episodes_are_spread_over_shards(made):
    assert [len(shard) for shard in load_frames(made, CONFIG)] == [8, 4]


def test_only_missing_shards_are_made_again_and_are_the_same(made):
    kept, lost = made
    before, time_ns = np.load(lost), kept.stat().st_mtime_ns
    lost.unlink()
    collect(kept.parent, CONFIG, episodes=3, seed=5, workers=1, episodes_per_shard=2)
    assert kept.stat().st_mtime_ns == time_ns
    assert np.load(lost).tobytes() == before.tobytes()


def test_shards_of_another_configuration_are_refused(made):
    with pytest.raises(ConfigurationError, match='another configuration'):
        load_frames(made, load_config().demonstrations)
