from dataclasses import replace

import numpy as np
import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.registry import build_policy
from vla_ros.training.batches import Batches
from vla_ros.training.calibration import best_threshold, calibrate
from vla_ros.training.config import load_config
from vla_ros.training.demonstrations import frame_dtype
from vla_ros.training.run import policy_spec
from vla_ros.training.sentences import SentenceBank

CONFIG = load_config()


@pytest.mark.parametrize(
    ('kept', 'refused', 'low', 'high'),
    [
        ([0.8, 0.9], [0.1, 0.2], 0.2, 0.8),
        ([0.5, 0.9, 0.95], [0.1, 0.6], 0.6, 0.9),
        ([0.9], [0.1, 0.95], 0.1, 0.9),
    ],
)
def test_the_threshold_parts_most(kept, refused, low, high):
    assert low <= best_threshold(np.array(kept), np.array(refused)) < high


def frames(there):
    """Return two frames with one red block, or none; four labels ask for it."""
    made = np.zeros(2, frame_dtype(CONFIG.demonstrations))
    for part in ('object_px', 'object_xyz', 'zone_px', 'zone_xy'):
        made[part] = np.nan
    if there:
        made['object_px'][:, 0] = 40.0
    made['labels']['zone'] = -1
    made['state'][:] = (0.4, 0.1, 0.15, 1.0, 0.0, 0.0, 0.0, 0.2)
    return made


def batches(*sorts):
    return Batches([frames(there) for there in sorts], CONFIG.batch, seed=0)


@pytest.fixture
def policy():
    torch.manual_seed(0)
    sizes = dict.fromkeys(('image_width', 'text_width', 'heads', 'key_width', 'hidden'), 8)
    return build_policy('keypoint', policy_spec(CONFIG, 6), sizes)


def bank(policy, read_rightly=True):
    """Return sentences of noise that mean what the policy takes them for, or something else."""
    rng = np.random.default_rng(0)
    count = 800
    tokens = rng.normal(size=(2 * count, 6)).astype(np.float16)
    some = SentenceBank(
        tokens, np.arange(0, 2 * count, 2), np.full(count, 2), np.zeros((count, 4), np.int64)
    )
    batch = some.batch(np.arange(count))
    with torch.inference_mode():
        meaning = policy.eval().meant(policy.reader(batch.text, batch.text_mask))
    classes = torch.stack(meaning, dim=1)
    classes[:, 1] = torch.where(classes[:, 1] < 0, 6, classes[:, 1])
    classes[:, 2] = torch.where(classes[:, 2] < 0, 3, classes[:, 2])
    if not read_rightly:
        classes[:, 0] = 1 + classes[:, 0] % 4
    return SentenceBank(some.tokens, some.starts, some.lengths, classes.numpy())


def test_nearly_all_that_is_rightly_read_is_obeyed(policy):
    some = bank(policy)
    calibrate(policy, some, batches(True, False), steps=2)
    batch = some.batch(np.flatnonzero(some.classes[:, 0] > 0))
    with torch.inference_mode():
        reading = policy.reader(batch.text, batch.text_mask)
        names_zone = policy.names_zone[policy.meant(reading).task]
        certain = policy.certainty(reading, names_zone) > policy.min_certainty
    assert float(certain.float().mean()) == pytest.approx(0.99, abs=0.005)


def test_the_threshold_of_pictures_is_a_probability(policy):
    with torch.no_grad():
        policy.min_presence.fill_(-1.0)
    calibrate(policy, bank(policy), batches(True, False), steps=2)
    assert 0.0 < float(policy.min_presence) < 1.0


def test_calibrating_changes_the_thresholds_alone(policy):
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    calibrate(policy, bank(policy), batches(True, False), steps=1)
    changed = {n for n, value in policy.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {'min_certainty', 'min_presence'}


def test_a_policy_that_reads_nothing_rightly_cannot_be_calibrated(policy):
    with pytest.raises(ConfigurationError, match='train it for more steps'):
        calibrate(policy, bank(policy, read_rightly=False), batches(True, False), steps=1)


@pytest.mark.parametrize('there', [True, False])
def test_pictures_that_show_all_or_nothing_tell_no_threshold(policy, there):
    made = Batches([frames(there)], replace(CONFIG.batch, absent_share=0.0), seed=0)
    with pytest.raises(ConfigurationError, match='set batch.absent_share'):
        calibrate(policy, bank(policy), made, steps=1)
