"""
The floor of the pipeline benchmark: one frame after another through plain function calls.

The same resize and policy, at the same pace, with no node and no message: what remains when
everything that a runtime adds is taken away. Writes the same lines as the benchmark's robot.

usage: direct_calls.py --frames N --rate HZ --size WIDTH HEIGHT
"""

import argparse
import json
import sys
import time

import numpy as np

from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder

WARM_UP_FRAMES = 30
GRACE_S = 0.5


def say(line):
    sys.stdout.write(line + '\n')
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=150)
    parser.add_argument('--rate', type=float, default=30.0)
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480))
    args, _ = parser.parse_known_args()  # as any process here it is given arguments for ROS
    width, height = args.size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    policy = load_policy(shipped_policy_path())
    tokens = load_text_encoder().encode('pick up the red block')
    command = EncodedCommand('pick up the red block', 1, tokens)
    state = np.array([0.4, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0, 0.0])
    size = policy.manifest.image_width, policy.manifest.image_height
    latencies_ms = []
    due_s = time.monotonic()
    for i in range(WARM_UP_FRAMES + args.frames):
        if i == WARM_UP_FRAMES:
            say('begin')
        due_s += 1.0 / args.rate
        time.sleep(max(0.0, due_s - time.monotonic()))
        started_s = time.monotonic()
        policy.infer(Observation(i, fit(picture, *size)[None], state, command))
        latencies_ms.append((time.monotonic() - started_s) * 1e3)
    say('end')
    time.sleep(GRACE_S)  # the CPU time of this process is being read
    counted = latencies_ms[WARM_UP_FRAMES:]
    say(json.dumps({'sent': args.frames, 'latencies_ms': counted, 'periods_ms': []}))


if __name__ == '__main__':
    main()
