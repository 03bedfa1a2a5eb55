import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
from vla_ros.sim.environment import TabletopEnv

env = TabletopEnv(96, renderer=sys.argv[1], seed=2)
try:
    picture = env.render().astype(int)
except Exception as error:
    print('unavailable:', error)
    sys.exit(77)
env.close()
traced = TabletopEnv(96, seed=2).render().astype(int)
# The shading differs; where things are must not.
print(np.corrcoef(picture.mean(axis=2).ravel(), traced.mean(axis=2).ravel())[0, 1])
"""


@pytest.mark.parametrize('renderer', ['egl', 'osmesa'])
def test_opengl_shows_the_same_scene_as_the_rays(renderer):
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, renderer],
        env={**os.environ, 'MUJOCO_GL': renderer},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 77 or 'import' in done.stderr.lower():
        pytest.skip(f'{renderer} is not installed: {done.stdout.strip()}')
    assert float(done.stdout.split()[-1]) > 0.6, done.stderr
