from dataclasses import replace

import numpy as np
import pytest
import torch

from vla_ros.errors import ConfigurationError
from vla_ros.models.registry import build_policy
from vla_ros.training.batches import Batches
from vla_ros.training.calibration import calibrate
from vla_ros.training.config import load_config
from vla_ros.training.demonstrations import frame_dtype
from vla_ros.training.run import policy_spec

CONFIG = load_config()


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


def batches(*sorts, **settings):
    config = replace(CONFIG.batch, **settings)
    return Batches([frames(there) for there in sorts], config, seed=0)


@pytest.fixture
def policy():
    sizes = dict.fromkeys(('image_width', 'text_width', 'heads', 'key_width', 'hidden'), 8)
    return build_policy('keypoint', policy_spec(CONFIG, 6), sizes)


def test_little_passes_of_what_is_not_there(policy):
    made = batches(True, False)
    calibrate(policy, made, steps=20)
    sure = []
    for step in range(20, 30):  # that it was not set on
        batch = made.batch(step)
        with torch.inference_mode():
            decision = policy.decide(policy.see(batch.image), batch.meaning, batch.state)
        sure.append(torch.sigmoid(decision.object_there_logit)[batch.object_there == 0])
    passes = (torch.cat(sure) > policy.min_presence).float()
    assert len(passes) > 100
    assert 0.0 < float(passes.mean()) < 0.1


def test_calibrating_changes_the_threshold_alone(policy):
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    calibrate(policy, batches(True, False), steps=1)
    changed = {n for n, value in policy.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {'min_presence'}


def test_pictures_with_everything_that_is_named_tell_no_threshold(policy):
    made = batches(True, absent_share=0.0)
    with pytest.raises(ConfigurationError, match=r'raise batch\.absent_share'):
        calibrate(policy, made, steps=1)
