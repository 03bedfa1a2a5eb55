"""
The floor of the pipeline benchmark: one frame after another through plain function calls.

The same resize and policy, at the same pace, with no node and no message: what remains when
everything that a runtime adds is taken away.

usage: direct_calls.py --frames N --rate HZ --size WIDTH HEIGHT
"""

from pace import arguments, Frames

from vla_ros.bench.table import COMMAND
from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder


def main():
    frames = Frames(arguments(__doc__))
    policy = load_policy(shipped_policy_path())
    command = EncodedCommand(COMMAND, 1, load_text_encoder().encode(COMMAND))
    size = policy.manifest.image_width, policy.manifest.image_height
    for number, picture in frames:
        policy.infer(Observation(number, fit(picture, *size)[None], frames.state, command))
        frames.answered(number)


if __name__ == '__main__':
    main()
