"""Frames of a tabletop that nobody simulated: noise for pictures, and labels that go together."""

import numpy as np

from vla_ros.sim.scene import OBJECT_NAMES
from vla_ros.sim.tasks import KINDS
from vla_ros.training.config import load_config
from vla_ros.training.demonstrations import frame_dtype, ZONE_NAMES

MADE = load_config().demonstrations


def tiny_frames(scenes=10, per_scene=3, seed=0):
    """Return frames (scenes * per_scene,), those of a scene together."""
    rng = np.random.default_rng(seed)
    frames = np.zeros(scenes * per_scene, frame_dtype(MADE))
    size = MADE.image_size
    frames['image'] = rng.integers(256, size=(len(frames), size, size, 3))
    frames['state'] = rng.normal(size=(len(frames), 8))
    frames['hand_px'] = rng.uniform(0, size, (len(frames), 2))
    for part in ('object_px', 'object_xyz', 'zone_px', 'zone_xy'):
        frames[part] = np.nan
    for scene in np.split(frames, scenes):
        objects = rng.permutation(len(OBJECT_NAMES))[:5]
        zones = rng.permutation(len(ZONE_NAMES))[:2]
        for things, pixels, places in (
            (objects, 'object_px', 'object_xyz'),
            (zones, 'zone_px', 'zone_xy'),
        ):
            for thing in things:
                scene[pixels][:, thing] = rng.uniform(0, size, 2)
                scene[places][:, thing] = rng.uniform(0, 1, scene[places].shape[2])
        labels = scene['labels']
        labels['kind'] = rng.integers(len(KINDS), size=labels.shape)
        labels['object'] = rng.choice(objects, size=labels.shape)
        has_zone = labels['kind'] >= KINDS.index('push')
        labels['zone'] = np.where(has_zone, rng.choice(zones, size=labels.shape), -1)
        labels['position'] = rng.uniform(0, 0.3, (*labels.shape, 3))
    return frames
